//! The label file in `.rfs/`.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use rfs_model::label::Label;

use super::Fault;
use super::brick::failed;
use super::layout::PRIVATE;
use crate::durable;

/// The label, in `.rfs`.
const LABEL: &str = "label";

/// `None` when the directory has no label: it is no brick, or one whose creation has not begun.
///
/// # Errors
/// [`Fault::Label`] for a label that cannot be believed, [`Fault::System`].
pub fn read_label(brick: &Path) -> Result<Option<Label>, Fault> {
    let path = brick.join(PRIVATE).join(LABEL);
    let bytes = match fs::read(&path) {
        Ok(bytes) => bytes,
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(failed("read", &path, e)),
    };
    let wrong = |problem| Fault::Label { path: path.to_string_lossy().into_owned(), problem };
    Label::from_bytes(&bytes).map(Some).map_err(wrong)
}

/// Replaces the label, making `.rfs` where it is missing. Durable on return.
///
/// # Errors
/// [`Fault::System`].
pub fn write_label(brick: &Path, label: &Label) -> Result<(), Fault> {
    let private = brick.join(PRIVATE);
    fs::create_dir_all(&private).map_err(|e| failed("create", &private, e))?;
    let path = private.join(LABEL);
    durable::replace(&path, &label.to_bytes()).map_err(|e| failed("write", &path, e))
}
