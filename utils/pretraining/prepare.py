"""A corpus by name to its word pieces on disk: built once, kept under build/corpora, found again.

Not for reading text (`corpus`) or for the files' form (`tokens`).
"""

import hashlib
import json
import os
import re
import shutil
from pathlib import Path

from transformers import AutoTokenizer, BertTokenizerFast

from utils import corpus as corpora
from utils.corpus import CorpusError
from utils.documentation import docs_key, docs_libraries
from utils.pretraining.tokens import Tokens, train_tokenizer
from utils.profile import cache_folder


def prepare(
    corpus: str,
    vocab_size: int = 8192,
    text_column: str = "text",
    tokenizer_folder: Path | None = None,
    progress: bool = True,
) -> tuple[BertTokenizerFast, Tokens]:
    """Return the tokenizer and the word pieces of a corpus that `utils.corpus.documents` knows.

    The vocabulary is learnt from the corpus, or taken from `tokenizer_folder`.

    Raises:
        CorpusError: what `documents` raises, too little text, or a folder without a BERT tokenizer.
    """
    given = _load_tokenizer(tokenizer_folder) if tokenizer_folder else None
    vocabulary = sorted(given.get_vocab().items()) if given else vocab_size
    facts = json.dumps([_version_of(corpus), text_column, vocabulary])
    name = Path(corpus).stem if corpus.endswith(corpora.SUFFIXES) else re.sub(r"\W+", "-", corpus)[:60]
    folder = cache_folder() / f"{name}-{hashlib.sha256(facts.encode()).hexdigest()[:16]}"
    if not (folder / "tokenizer.json").exists():
        unfinished = folder.with_name(f"{folder.name}.{os.getpid()}.part")
        try:
            tokenizer = given or train_tokenizer(corpora.documents(corpus, text_column), vocab_size)
            Tokens.build(corpora.documents(corpus, text_column), tokenizer, unfinished, progress)
            tokenizer.save_pretrained(unfinished)
            shutil.rmtree(folder, ignore_errors=True)
            unfinished.rename(folder)
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)
    return _load_tokenizer(folder), Tokens(folder)


def _load_tokenizer(folder: Path) -> BertTokenizerFast:
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError) as error:
        raise CorpusError(
            f"{folder}: no tokenizer in it ({str(error).splitlines()[0]}): name a BERT's folder."
        ) from None
    if tokenizer.mask_token_id is None or len(tokenizer) > 65536:
        raise CorpusError(
            f"{folder}: its tokenizer has no [MASK] or over 65,536 word pieces: name a BERT's folder."
        )
    return tokenizer


def _version_of(corpus: str) -> list:
    """Return what changes when the corpus does."""
    path = Path(corpus)
    if corpus.split(":")[0] == "docs":
        return [corpus, docs_key(docs_libraries(corpus))]
    if corpus == "shop":
        return [corpus, (corpora.data.FOLDER / "MANIFEST.sha256").read_text()]
    if path.suffix in corpora.SUFFIXES and path.is_file():
        return [str(path.resolve()), path.stat().st_size, path.stat().st_mtime_ns]
    return [corpus]
