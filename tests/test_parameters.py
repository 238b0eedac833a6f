"""The account of parameters equals the real architectures and the published totals."""

import pytest
import torch
import transformers
from helpers import assert_one_line

from utils.parameters import ARCHITECTURES, account, total

BERTS = {
    "Tiny": (128, 2),
    "Mini": (256, 4),
    "Small": (512, 4),
    "Medium": (512, 8),
    "Base": (768, 12),
    "Large": (1024, 24),
}


def count(model_class, config) -> int:
    with torch.device("meta"):
        return sum(parameter.numel() for parameter in model_class(config).parameters())


@pytest.mark.parametrize("size", BERTS)
def test_bert_of_every_size(size):
    width, blocks = BERTS[size]
    config = transformers.BertConfig(
        hidden_size=width,
        num_hidden_layers=blocks,
        num_attention_heads=width // 64,
        intermediate_size=4 * width,
    )
    assert total(f"BERT-{size}") == count(transformers.BertModel, config)


def test_distilbert_roberta_and_the_first_transformer():
    assert total("DistilBERT") == count(transformers.DistilBertModel, transformers.DistilBertConfig())
    roberta = transformers.RobertaConfig(vocab_size=50265, max_position_embeddings=514, type_vocab_size=1)
    assert total("RoBERTa-Base") == count(transformers.RobertaModel, roberta)
    with torch.device("meta"):
        blocks = torch.nn.Transformer(512, 8, 6, 6, 2048)
        # PyTorch adds a LayerNorm behind each of the two stacks, which the paper does not have.
        extra = sum(p.numel() for p in (*blocks.encoder.norm.parameters(), *blocks.decoder.norm.parameters()))
        everything = sum(p.numel() for p in blocks.parameters())
    assert total("Transformer 2017") == everything - extra + 37000 * 512


def test_gpt_3_is_gpt_2s_architecture_made_larger():
    config = transformers.GPT2Config(n_embd=12288, n_layer=96, n_head=96, n_positions=2048)
    assert total("GPT-3") == count(transformers.GPT2Model, config)


@pytest.mark.parametrize(
    ("name", "published"),
    [
        ("BERT-Base", 109_482_240),
        ("BERT-Large", 335_141_888),
        ("DistilBERT", 66_362_880),
        ("Transformer 2017", 63.1e6),
        ("GPT-3", 174.6e9),
    ],
)
def test_published_totals(name, published):
    digits = 0 if isinstance(published, int) else 5e-4
    assert total(name) == pytest.approx(published, rel=digits, abs=0)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_every_line_says_how_it_came_about(name):
    for line in account(ARCHITECTURES[name]):
        assert line.total == line.copies * line.each > 0 and line.formula


def test_an_unknown_architecture_lists_the_known_ones():
    with pytest.raises(ValueError) as error:
        total("BERT-Huge")
    assert_one_line(error, "'BERT-Huge'", *ARCHITECTURES)
