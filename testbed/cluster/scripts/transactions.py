"""Inserts rows into an SQLite database, one transaction each, and prints the number of each row that is committed.

transactions.py DATABASE JOURNAL_MODE STOP_FILE: until the stop file exists. With 'check' in its place: checks the file.
"""
import os
import sqlite3
import sys
import time


LOCKED = "locking protocol", "database is locked"


def whole(db):
    """Whether the file is in order. A dead machine's locks are held for 60 s; SQLite itself waits for as long as it was told
    to, or for 10 s where it recovers a write-ahead log."""
    end = time.monotonic() + 75
    while True:
        try:
            return db.execute("pragma integrity_check").fetchone() == ("ok",)
        except sqlite3.OperationalError as error:
            if str(error) not in LOCKED or time.monotonic() > end:
                raise


path, mode, stop = sys.argv[1:4]
db = sqlite3.connect(path, isolation_level=None, timeout=10 if sys.argv[3] == "check" else 60)
if stop == "check":
    assert whole(db), "integrity_check"
    rows = db.execute("select n, length(text) from t order by n").fetchall()
    assert all(row == (n, 200 + n % 1000) for n, row in enumerate(rows)), "a row is wrong or missing"
    assert db.execute("select n from names order by n").fetchall() == [(n,) for n, _ in rows], "the index differs"
    print(len(rows))
    sys.exit(0)
assert db.execute(f"pragma journal_mode={mode}").fetchone()[0] == mode
db.execute("pragma synchronous=full")
db.execute("create table if not exists t (n integer primary key, text)")
db.execute("create table if not exists names (n integer, name text unique)")
n = db.execute("select count(*) from t").fetchone()[0]
while not os.path.exists(stop):
    db.execute("begin")
    db.execute("insert into t values (?, ?)", (n, "x" * (200 + n % 1000)))
    db.execute("insert into names values (?, ?)", (n, f"name {n}"))
    db.execute("commit")
    print("committed", n, flush=True)
    n += 1
db.close()
print("end", n)
