"""The small languages of a request, each read and written in one place: durations, sizes, times, ports, image names.

The bottom row, beside ``errors``: the daemon and the command line both read with these. A module here imports next to
nothing, so that a command of a few milliseconds can afford it. What cannot be read is an ``InvalidArgument``, in
Docker's words.
"""
