"""What a process that decodes foreign files may take, so that a hostile one costs that process only."""

from __future__ import annotations

import signal
from pathlib import Path

DECODER_CRASHES = frozenset({signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGFPE, signal.SIGILL})
"""What a decoder that goes wrong dies of: the file's fault, and no use to try again."""


def limit_memory(growth_bytes: int) -> None:
    """Let this process grow by so many bytes at most; other systems than Linux do not say how large it is."""
    size = Path("/proc/self/statm")
    if size.exists():
        import resource

        data = int(size.read_text().split()[5]) * resource.getpagesize()
        most = resource.getrlimit(resource.RLIMIT_DATA)[1]
        limit = data + growth_bytes
        resource.setrlimit(resource.RLIMIT_DATA, (limit if most == resource.RLIM_INFINITY else min(limit, most), most))


def limit_cpu(more_s: int) -> None:
    """Let this process use so many more seconds of a processor, then it is killed; call it anew for each file."""
    import resource

    used = resource.getrusage(resource.RUSAGE_SELF)
    most = resource.getrlimit(resource.RLIMIT_CPU)[1]
    limit = int(used.ru_utime + used.ru_stime) + more_s + 1
    resource.setrlimit(resource.RLIMIT_CPU, (limit if most == resource.RLIM_INFINITY else min(limit, most), most))


def write_nothing() -> None:
    """Let this process write no file any more, and leave no image of its memory behind when it dies."""
    import resource

    for which in (resource.RLIMIT_FSIZE, resource.RLIMIT_CORE):
        resource.setrlimit(which, (0, 0))
