"""Where the parameters of a Transformer are: one line for each kind of matrix, with its formula.

Notebook 04 reads the lines; a test compares their sums with `sum(p.numel())` of the real architectures.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Line:
    """A kind of matrix: how often it occurs, the formula of one, and its count with the numbers put in."""

    name: str
    copies: int
    formula: str
    each: int

    @property
    def total(self) -> int:
        return self.copies * self.each


@dataclass(frozen=True)
class Architecture:
    """The sizes that decide. n is the width, f the inner width of the feed-forward part, v the vocabulary."""

    name: str
    v: int
    n: int
    f: int
    encoder_blocks: int = 0
    decoder_blocks: int = 0  # of an encoder-decoder, with cross-attention
    causal_blocks: int = 0  # of a decoder alone, without
    positions: int = 0  # learned ones; sinusoids have no parameters
    segments: int = 0
    embedding_norm: bool = False
    final_norm: bool = False
    pooler: bool = False


ARCHITECTURES = {
    architecture.name: architecture
    for architecture in (
        Architecture("Transformer 2017", 37000, 512, 2048, encoder_blocks=6, decoder_blocks=6),
        *(
            Architecture(
                f"BERT-{name}", 30522, n, 4 * n, blocks, 0, 0, 512, 2, embedding_norm=True, pooler=True
            )
            for name, n, blocks in (
                ("Tiny", 128, 2),
                ("Mini", 256, 4),
                ("Small", 512, 4),
                ("Medium", 512, 8),
                ("Base", 768, 12),
                ("Large", 1024, 24),
            )
        ),
        Architecture("DistilBERT", 30522, 768, 3072, 6, positions=512, embedding_norm=True),
        Architecture("RoBERTa-Base", 50265, 768, 3072, 12, 0, 0, 514, 1, embedding_norm=True, pooler=True),
        Architecture("GPT-3", 50257, 12288, 49152, causal_blocks=96, positions=2048, final_norm=True),
    )
}


def account(architecture: Architecture) -> list[Line]:
    """Return the lines of `architecture`, from the embeddings to the pooler; heads are not among them.

    The output layer of a language model is the transposed word embedding, so it adds nothing. Sources:
    Vaswani et al. (2017), table 3; Devlin et al. (2019), section 3; Brown et al. (2020), table 2.1.
    """
    a = architecture
    n, f = a.n, a.f
    blocks = a.encoder_blocks + a.decoder_blocks + a.causal_blocks
    attentions = blocks + a.decoder_blocks  # a decoder block has two
    lines = [
        Line("word embeddings", 1, f"v·n = {a.v:,}·{n:,}", a.v * n),
        Line("position embeddings", 1, f"positions·n = {a.positions}·{n:,}", a.positions * n),
        Line("segment embeddings", 1, f"segments·n = {a.segments}·{n:,}", a.segments * n),
        Line("LayerNorm of the embeddings", int(a.embedding_norm), "2·n", 2 * n),
        Line("query, key, value", 3 * attentions, "n·n + n", n * n + n),
        Line("output of attention", attentions, "n·n + n", n * n + n),
        Line("feed-forward, expand", blocks, "n·f + f", n * f + f),
        Line("feed-forward, contract", blocks, "f·n + n", f * n + n),
        Line("LayerNorm of the blocks", attentions + blocks, "2·n", 2 * n),
        Line("LayerNorm at the end", int(a.final_norm), "2·n", 2 * n),
        Line("pooler", int(a.pooler), "n·n + n", n * n + n),
    ]
    return [line for line in lines if line.total]


def total(name: str) -> int:
    """Return the number of parameters of one of ARCHITECTURES.

    Raises:
        ValueError: an unknown name; the known ones are listed.
    """
    if name not in ARCHITECTURES:
        raise ValueError(f"There is no architecture {name!r} here: choose one of {', '.join(ARCHITECTURES)}.")
    return sum(line.total for line in account(ARCHITECTURES[name]))
