"""A storage for tests: contents in memory, and a disk that can fail."""

from __future__ import annotations

import io
from typing import BinaryIO


class Memory:
    """A storage without a disk; ``fails`` is what the disk would say."""

    def __init__(self) -> None:
        self.contents: dict[str, bytes] = {}
        self.fails: OSError | None = None

    def put(self, content_hash: str, stream: BinaryIO) -> None:
        content = stream.read()
        if self.fails is not None:
            raise self.fails
        self.contents[content_hash] = content

    def open(self, content_hash: str) -> BinaryIO:
        if content_hash not in self.contents:
            raise FileNotFoundError(content_hash)
        return io.BytesIO(self.contents[content_hash])

    def exists(self, content_hash: str) -> bool:
        return content_hash in self.contents
