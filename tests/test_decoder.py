"""The decoder is GPT-2: same logits, no look ahead, and the ways to choose the next token."""

import pytest
import torch
from helpers import assert_one_line
from transformers import GPT2Config, GPT2LMHeadModel

from utils.decoder import Decoder, DecoderConfig, choose, next_token_loss, write

SIZES = {"vocab_size": 97, "n_embd": 32, "n_layer": 3, "n_head": 4, "n_positions": 24}


@pytest.fixture(scope="module")
def theirs():
    torch.manual_seed(0)
    model = GPT2LMHeadModel(GPT2Config(**SIZES, bos_token_id=0, eos_token_id=0)).eval()
    with torch.no_grad():
        for parameter in model.parameters():  # GPT-2 starts biases at 0 and norms at 1: that hides mistakes
            parameter.add_(0.1 * torch.randn_like(parameter))
    return model


@pytest.fixture
def ours(theirs):
    return Decoder.from_transformers(theirs)


def ids(rows: int = 3, length: int = 20) -> torch.Tensor:
    return torch.randint(0, 97, (rows, length), generator=torch.Generator().manual_seed(1))


def test_logits_and_loss_are_those_of_gpt2(ours, theirs):
    with torch.no_grad():
        output = theirs(ids(), labels=ids())
        assert torch.allclose(ours(ids()), output.logits, atol=1e-4)
        assert torch.allclose(next_token_loss(ours(ids()), ids()), output.loss, atol=1e-5)


def test_nobody_sees_the_future(ours):
    changed = ids()
    changed[:, 12] = (changed[:, 12] + 1) % 97
    before, after = ours(ids()), ours(changed)
    assert torch.allclose(before[:, :12], after[:, :12], atol=1e-5)
    assert not torch.allclose(before[:, 12:], after[:, 12:], atol=1e-3)


def test_greedy_writing_is_transformers_own(ours, theirs):
    start = ids(2, 5)
    expected = theirs.generate(start, max_new_tokens=12, do_sample=False, pad_token_id=0, eos_token_id=None)
    assert torch.equal(write(ours, start, 12, temperature=0), expected)


def test_writing_goes_on_behind_the_context_and_stops_at_the_end(ours):
    found = write(ours, ids(2, 20), 30, temperature=0)
    assert found.shape == (2, 50)
    seen, whole = (write(ours, text, 1, temperature=0)[:, -1] for text in (found[:, 25:49], found[:, :49]))
    assert torch.equal(seen, whole) and torch.equal(whole, found[:, 49])  # 24 tokens have a say
    stop = int(found[0, 22])
    ended = write(ours, ids(1, 20), 30, temperature=0, stop=stop)
    assert ended.shape[1] <= 23 and ended[0, -1] == stop


def test_ways_to_choose():
    logits = torch.tensor([[2.0, 1.0, 0.0, -1.0]])
    generator = torch.Generator().manual_seed(0)
    assert choose(logits, temperature=0).tolist() == [0]
    many = logits.expand(20_000, -1)
    for temperature in (0.5, 1.0, 2.0):
        drawn = choose(many, temperature, generator=generator)
        share = torch.bincount(drawn, minlength=4) / len(drawn)
        assert torch.allclose(share, torch.softmax(logits[0] / temperature, -1), atol=0.015)
    drawn = choose(many, top_k=2, generator=generator)
    assert set(drawn.tolist()) == {0, 1}
    assert drawn.float().mean().item() == pytest.approx(1 / (1 + 2.718), abs=0.015)
    assert choose(logits, top_k=99, generator=generator).shape == (1,)
    with pytest.raises(ValueError) as error:
        choose(logits, temperature=-1)
    assert_one_line(error, "0 or more")


def test_a_decoder_learns_a_text_by_heart():
    torch.manual_seed(0)
    model = Decoder(DecoderConfig(30, 32, 2, 2, 16))
    text = torch.randperm(30)[None, :16]
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    first = next_token_loss(model(text), text).item()
    for _ in range(60):
        optimizer.zero_grad()
        next_token_loss(model(text), text).backward()
        optimizer.step()
    assert first > 3 and next_token_loss(model(text), text) < 0.05
    assert torch.equal(write(model, text[:, :3], 13, temperature=0), text)


def test_what_it_cannot_do_is_one_line(ours):
    with pytest.raises(ValueError) as error:
        ours(ids(1, 25))
    assert_one_line(error, "at most 24", "25")
    with pytest.raises(ValueError) as error:
        Decoder.from_transformers(GPT2LMHeadModel(GPT2Config(**SIZES, activation_function="relu")))
    assert_one_line(error, "relu")
