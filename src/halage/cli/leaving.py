"""How to leave a shell that answers no more: `~.` at the start of a line, as in OpenSSH's client."""

_LINE_ENDS = b"\r\n"


class Leaving:
    """Looks through what is typed."""

    def __init__(self) -> None:
        self._at_start = True
        self._has_tilde = False
        self.is_wanted = False
        """Whether the person wants to leave."""

    def pass_on(self, typed: bytes) -> bytes:
        """What of it goes to the shell: all but the two keys, and a `~` only once it is no first one."""
        passed = bytearray()
        for key in typed:
            if self._has_tilde:
                self._has_tilde = False
                if key == ord("."):
                    self.is_wanted = True
                    return bytes(passed)
                passed += b"~"
            elif self._at_start and key == ord("~"):
                self._has_tilde = True
                continue
            self._at_start = key in _LINE_ENDS
            passed.append(key)
        return bytes(passed)
