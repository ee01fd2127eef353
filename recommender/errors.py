"""Every error that First Listen raises on purpose, and nothing else.

::

    FirstListenError
    ├── ConfigError          a setting that cannot be used
    │   └── RulesError       rules of a playlist that cannot be used, or contradict each other
    ├── DataError            a table, row or value that cannot be used
    │   ├── UnknownIdError   an id that is in no table
    │   └── LeakageError     test data that reached training
    ├── AudioError           a file that holds no usable audio
    ├── ModelError           a model that cannot be fitted or cannot do what was asked of it
    ├── ArtifactError        a stored artifact that is missing or damaged
    │   └── VersionError     artifacts or workspaces whose versions do not belong together
    ├── StoreError           the listens' database cannot be read or written
    └── ServerError          a music server that cannot be reached, refuses, or answers what it should not

A message says what is wrong, the value, what was expected, and what to do next, in one line.
"""


class FirstListenError(Exception):
    """The root: catch this to catch everything that First Listen reports on purpose."""


class ConfigError(FirstListenError):
    """A setting that cannot be used."""


class RulesError(ConfigError):
    """Rules of a playlist that cannot be used, or contradict each other."""


class DataError(FirstListenError):
    """A table, row or value that cannot be used."""


class UnknownIdError(DataError):
    """An id that is in no table."""


class LeakageError(DataError):
    """Test data that reached training."""


class AudioError(FirstListenError):
    """A file that holds no usable audio."""


class ModelError(FirstListenError):
    """A model that cannot be fitted, or cannot do what was asked of it."""


class ArtifactError(FirstListenError):
    """A stored artifact that is missing or damaged."""


class VersionError(ArtifactError):
    """Artifacts or workspaces whose versions do not belong together."""


class StoreError(FirstListenError):
    """The listens' database cannot be read or written."""


class ServerError(FirstListenError):
    """A music server cannot be reached, refuses, or answers what it should not."""
