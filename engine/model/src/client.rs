//! Mount to brick and back.
