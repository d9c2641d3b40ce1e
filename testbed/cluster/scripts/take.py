"""Moves every file of one folder into another, and prints the names of those that it has moved: of several that do so at the same
time one moves each.

take.py FROM TO 0|1: reads all files, so that the kernel knows their names, says "ready", and begins when TO is there. With 1, of each
two names the second one comes first: whoever is a step behind is the first at every other name all the same.
"""
import os
import sys

source, target, which = sys.argv[1:]
names = sorted(os.listdir(source), key=int)
for n, name in enumerate(names):
    with open(os.path.join(source, name)) as file:
        assert file.read() == name
print("ready", flush=True)
while not os.path.exists(target):
    pass
for n in range(len(names)):
    name = names[n ^ int(which)]
    # Every third stays in its folder, and now and then the kernel has just been told what is where.
    to = os.path.join(source, name + "-taken") if int(name) % 3 == 0 else os.path.join(target, name)
    if n % 8 == 0:
        for entry in os.scandir(target):
            entry.stat()
    try:
        os.rename(os.path.join(source, name), to)
        print("took", name, flush=True)
    except FileNotFoundError:
        print("late", name, flush=True)
