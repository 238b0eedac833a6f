"""The translator: PyTorch's own layers give the same, no look ahead, no look at padding, and it learns."""

import pytest
import torch
from helpers import assert_one_line
from torch import nn

from utils import translation
from utils.attention import causal_mask
from utils.translation import END, PAD, START, TargetBlock, Translator, TranslatorConfig, batch, translate

CONFIG = TranslatorConfig(vocab_size=40, hidden_size=32, layers=2, heads=4, context=12, dropout=0.0)
PAIRS = [([5, 6, 7], [20, 21]), ([8, 9], [22, 23, 24, 25]), ([6, 5, 8, 9], [21, 20, 22])]


@pytest.fixture
def model():
    torch.manual_seed(0)
    return Translator(CONFIG).eval()


def test_a_target_block_is_pytorchs_decoder_layer():
    torch.manual_seed(0)
    theirs = nn.TransformerDecoderLayer(32, 4, 128, 0.0, "gelu", batch_first=True).eval()
    ours = TargetBlock(CONFIG).eval()
    with torch.no_grad():
        for parameter in theirs.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
        for mine, other in (
            (ours.self_attention, theirs.self_attn),
            (ours.cross_attention, theirs.multihead_attn),
        ):
            parts = (mine.query, mine.key, mine.value)
            thirds = zip(other.in_proj_weight.chunk(3), other.in_proj_bias.chunk(3), strict=True)
            for part, (weight, bias) in zip(parts, thirds, strict=True):
                part.weight.copy_(weight)
                part.bias.copy_(bias)
            mine.output.load_state_dict(other.out_proj.state_dict())
        for mine, other in (
            (ours.self_norm, theirs.norm1),
            (ours.cross_norm, theirs.norm2),
            (ours.feed_forward_norm, theirs.norm3),
            (ours.expand, theirs.linear1),
            (ours.contract, theirs.linear2),
        ):
            mine.load_state_dict(other.state_dict())
        target, source = torch.randn(2, 5, 32), torch.randn(2, 7, 32)
        seen = torch.tensor([[True] * 7, [True] * 4 + [False] * 3])
        expected = theirs(target, source, tgt_mask=~causal_mask(5), memory_key_padding_mask=~seen)
        assert torch.allclose(ours(target, causal_mask(5), source, seen[:, None, None]), expected, atol=1e-5)


def test_a_batch_is_padded_shifted_and_ended():
    source, target, expected = batch(PAIRS)
    assert source.tolist() == [[5, 6, 7, PAD], [8, 9, PAD, PAD], [6, 5, 8, 9]]
    assert target.tolist()[0] == [START, 20, 21, PAD, PAD] and expected.tolist()[0] == [20, 21, END, PAD, PAD]
    assert target.shape == expected.shape == (3, 5)


def test_padding_and_future_do_not_matter(model):
    source, target, expected = batch(PAIRS)
    together = model(source, target)
    for row, (one, two) in enumerate(PAIRS):
        alone = model(torch.tensor([one]), torch.tensor([[START, *two]]))
        assert torch.allclose(together[row, : len(two) + 1], alone[0], atol=1e-5)
    step = model(source, target[:, :2])
    assert torch.allclose(step, together[:, :2], atol=1e-5)
    losses = [
        translation.loss(
            model(torch.tensor([one]), torch.tensor([[START, *two]])), torch.tensor([[*two, END]])
        )
        * (len(two) + 1)
        for one, two in PAIRS
    ]
    assert torch.allclose(
        translation.loss(together, expected), sum(losses) / (expected != PAD).sum(), atol=1e-5
    )


def test_cross_attention_sums_to_one_over_the_source_without_padding(model):
    source, target, _ = batch(PAIRS)
    weights = model.cross_weights(source, target)
    assert weights.shape == (3, 4, 5, 4)
    assert torch.allclose(weights.sum(-1), torch.ones(3, 4, 5), atol=1e-5)
    assert (weights[0, :, :, 3] == 0).all() and (weights[1, :, :, 2:] == 0).all()


def test_it_learns_pairs_by_heart_and_writes_them_step_by_step():
    torch.manual_seed(0)
    model, (source, target, expected) = Translator(CONFIG), batch(PAIRS)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    for _ in range(120):
        optimizer.zero_grad()
        translation.loss(model(source, target), expected).backward()
        optimizer.step()
    assert translate(model, source) == [two for _, two in PAIRS]
    assert model.training  # as it was
    assert translate(model, source, longest=3) == [two[:2] for _, two in PAIRS]


def test_too_long_a_sentence_is_one_line(model):
    with pytest.raises(ValueError) as error:
        model(torch.ones(1, 13, dtype=torch.long), torch.ones(1, 2, dtype=torch.long))
    assert_one_line(error, "at most 12", "13")
