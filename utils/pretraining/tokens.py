"""Word pieces on disk: a WordPiece vocabulary from the corpus, and files of ids read block by block.

Memory stays flat however large the corpus: documents stream in, ids stream out, and a run reads a
block of some million ids at a time. Not for masking or pairing (`batches`).
"""

import itertools
import json
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer
from tqdm.auto import tqdm
from transformers import BertTokenizerFast

from utils.corpus import CorpusError, Document

HELD_OUT_ONE_IN = 50  # documents; the same ones in each run
MOST_HELD_OUT = 400_000  # ids; enough to measure, and never a large part of a large corpus
BLOCK = 4_000_000  # ids
VOCABULARY_WORDS = 4_000_000  # words of text from which the vocabulary is learnt
SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")


@dataclass(frozen=True)
class Block:
    """A run of whole documents: all ids in a row, and where sentences and documents start."""

    ids: np.ndarray  # (n,) word pieces
    starts: np.ndarray  # (s,) index of each sentence's first id
    documents: np.ndarray  # (s,) number of each sentence's document


def is_held_out(document: Document) -> bool:
    """True for about one document in 50, by its text: a run never trains on them."""
    return zlib.crc32(" ".join(document).encode()) % HELD_OUT_ONE_IN == 0


def train_tokenizer(documents: Iterable[Document], vocab_size: int) -> BertTokenizerFast:
    """Learn a lower-cased WordPiece vocabulary (Wu et al., 2016) from the first four million words."""
    tokenizer = BertTokenizerFast(vocab={token: index for index, token in enumerate(SPECIAL)})

    def texts() -> Iterator[str]:
        words = 0
        for document in documents:
            if not is_held_out(document):
                yield " ".join(document)
                words += sum(sentence.count(" ") + 1 for sentence in document)
            if words > VOCABULARY_WORDS:
                return

    return tokenizer.train_new_from_iterator(texts(), vocab_size, show_progress=False)


class Tokens:
    """The word pieces of a corpus in a folder: `train` and `held_out`, each in blocks."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.facts = json.loads((folder / "facts.json").read_text())

    @classmethod
    def build(
        cls, documents: Iterable[Document], tokenizer: BertTokenizerFast, folder: Path, progress: bool = True
    ) -> "Tokens":
        """Write the ids of all documents under `folder` (which is new) and return them.

        Raises:
            CorpusError: no document, or too little text for one step and for measuring.
        """
        folder.mkdir(parents=True)
        writers = {name: _Writer(folder, name) for name in ("train", "held_out")}
        counts = np.zeros(len(tokenizer), np.int64)
        bar = tqdm(desc="Cutting word pieces", unit=" documents", disable=not progress)
        found = (document for document in documents if document)
        for some in _batched(found, 500):
            encoded = _encode(tokenizer.backend_tokenizer, some)
            for document, sentences in zip(some, encoded, strict=True):
                held_out = is_held_out(document) and writers["held_out"].ids < MOST_HELD_OUT
                writers["held_out" if held_out else "train"].write(sentences)
                if not held_out:
                    counts += (
                        np.bincount(np.concatenate(sentences), minlength=len(counts)) if sentences else 0
                    )
            bar.update(len(some))
        bar.close()
        facts = {name: writer.close() for name, writer in writers.items()}
        if writers["train"].ids < 1000 or writers["held_out"].ids < 200:
            raise CorpusError(
                f"the corpus has {writers['train'].ids:,} word pieces to learn from and {writers['held_out'].ids:,} held out: "
                "give at least some hundred documents (in a .txt, blank lines part them)."
            )
        np.save(folder / "counts.npy", counts)
        (folder / "facts.json").write_text(json.dumps(facts))
        return cls(folder)

    def size(self, part: str = "train") -> int:
        """Return the number of word pieces in `train` or `held_out`."""
        return sum(block["ids"] for block in self.facts[part])

    def blocks(self, part: str = "train") -> int:
        return len(self.facts[part])

    def read(self, number: int, part: str = "train") -> Block:
        """Read one block from the files; what was read before can leave the memory."""
        fact = self.facts[part][number]

        def read(name: str, kind: type, start: int, count: int) -> np.ndarray:
            kind = np.dtype(kind)
            return np.fromfile(self.folder / f"{part}.{name}", kind, count, offset=start * kind.itemsize)

        ids = read("ids", np.uint16, fact["first_id"], fact["ids"])
        starts = read("starts", np.int64, fact["first_sentence"], fact["sentences"]) - fact["first_id"]
        return Block(ids, starts, read("documents", np.int64, fact["first_sentence"], fact["sentences"]))

    def counts(self) -> torch.Tensor:
        """Return how often each word piece stands in the training text, (v,)."""
        return torch.from_numpy(np.load(self.folder / "counts.npy"))

    def unigram_entropy(self) -> float:
        """Return the loss, in nats, of guessing each word piece by its frequency alone: the plateau."""
        counts = self.counts().numpy()
        share = counts[counts > 0] / counts.sum()
        return float(-(share * np.log(share)).sum())


class _Writer:
    """Appends documents to the three files of a part and notes where each block starts."""

    def __init__(self, folder: Path, part: str):
        self.files = [(folder / f"{part}.{name}").open("wb") for name in ("ids", "starts", "documents")]
        self.ids = self.sentences = self.documents = 0
        self.blocks: list[dict] = []

    def write(self, sentences: list[np.ndarray]) -> None:
        sentences = [sentence for sentence in sentences if len(sentence)]
        if not sentences:
            return
        if not self.blocks or self.blocks[-1]["ids"] >= BLOCK:
            self.blocks.append(
                {"first_id": self.ids, "first_sentence": self.sentences, "ids": 0, "sentences": 0}
            )
        lengths = np.array([len(sentence) for sentence in sentences])
        starts = self.ids + np.cumsum(lengths) - lengths
        numbers = np.full(len(sentences), self.documents)
        for file, array in zip(self.files, (np.concatenate(sentences), starts, numbers), strict=True):
            file.write(array.astype(np.uint16 if file is self.files[0] else np.int64).tobytes())
        self.ids += int(lengths.sum())
        self.sentences += len(sentences)
        self.documents += 1
        self.blocks[-1]["ids"] += int(lengths.sum())
        self.blocks[-1]["sentences"] += len(sentences)

    def close(self) -> list[dict]:
        for file in self.files:
            file.close()
        if len(self.blocks) > 1 and self.blocks[-1]["ids"] < BLOCK // 2:  # too short to stand alone
            last = self.blocks.pop()
            self.blocks[-1]["ids"] += last["ids"]
            self.blocks[-1]["sentences"] += last["sentences"]
        return self.blocks


def _encode(tokenizer: Tokenizer, documents: Iterable[Document]) -> list[list[np.ndarray]]:
    """Encode all sentences of some documents at once, without special tokens."""
    documents = list(documents)
    encoded = iter(tokenizer.encode_batch_fast([s for d in documents for s in d], add_special_tokens=False))
    return [[np.array(next(encoded).ids, np.int64) for _ in document] for document in documents]


def _batched(items: Iterator, size: int) -> Iterator[list]:
    """`itertools.batched`, for Python 3.11."""
    while some := list(itertools.islice(items, size)):
        yield some
