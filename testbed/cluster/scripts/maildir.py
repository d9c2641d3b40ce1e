"""Delivers messages into a Maildir, or reads them out of it.

maildir.py deliver MAILDIR NAME COUNT: each message is written below tmp/, synced, and moved to new/; its name is printed then.
maildir.py read MAILDIR STOP_FILE: moves each message of new/ to cur/, reads it and prints its name, until the stop file exists and
new/ is empty. Of several readers one gets a message.
"""
import hashlib
import os
import sys


def message(name, n):
    body = f"Subject: {name}\n\n" + "".join(f"{name} line {i}\n" for i in range(n * 37 % 400))
    return body.encode() + hashlib.sha256(body.encode()).hexdigest().encode()


def deliver(maildir, who, count):
    for n in range(count):
        name = f"{who}.{n}"
        path = os.path.join(maildir, "tmp", name)
        with open(path, "xb") as file:
            file.write(message(name, n))
            file.flush()
            os.fsync(file.fileno())
        os.rename(path, os.path.join(maildir, "new", name))
        print("delivered", name, flush=True)


def read(maildir, stop):
    while True:
        # In this order: what was delivered before the stop is seen after it.
        stops = os.path.exists(stop)
        names = os.listdir(os.path.join(maildir, "new"))
        for name in names:
            path = os.path.join(maildir, "cur", name + ":2,S")
            try:
                os.rename(os.path.join(maildir, "new", name), path)
            except FileNotFoundError:
                continue
            with open(path, "rb") as file:
                text = file.read()
            whole = hashlib.sha256(text[:-64]).hexdigest().encode() == text[-64:]
            assert whole and text.startswith(f"Subject: {name}\n".encode()), f"{name} is not whole: {len(text)} bytes"
            print("read", name, flush=True)
        if stops and not names:
            return


what, maildir, *rest = sys.argv[1:]
if what == "deliver":
    deliver(maildir, rest[0], int(rest[1]))
else:
    read(maildir, rest[0])
