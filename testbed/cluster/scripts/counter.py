"""Counts in a file, under a lock: counter.py FILE STOP_FILE, until the stop file exists. Prints each number that it has written,
once the lock is given back."""
import fcntl
import os
import sys

path, stop = sys.argv[1:]
file = os.open(path, os.O_RDWR | os.O_CREAT)
while not os.path.exists(stop):
    fcntl.lockf(file, fcntl.LOCK_EX)
    number = int(os.pread(file, 20, 0) or b"0") + 1
    os.pwrite(file, b"%020d" % number, 0)
    fcntl.lockf(file, fcntl.LOCK_UN)
    print("wrote", number, flush=True)
