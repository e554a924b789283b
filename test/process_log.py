"""What a process of a test writes to its log."""


def until_logged(process, text):
    """Wait until a process has written a line with a text to its standard error."""
    assert any(text in line for line in process.stderr), f"the process ended without {text!r}"
