"""What can go wrong with an installation; the text of each is shown to a person as it is."""


class InstallationError(Exception):
    """The installation cannot do what it was asked; the message says why and what to do (Russian)."""


class PortTakenError(InstallationError):
    """A port that the installation needs is already listened on by somebody else."""


class ProgramFailedError(InstallationError):
    """A one-off command (a migration, the demo) ended with an error."""


class NotHealthyError(InstallationError):
    """The programs did not become healthy in time."""
