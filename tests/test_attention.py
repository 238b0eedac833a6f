"""Attention: its definition, PyTorch's fused form, masks, heads, and what wrong shapes get."""

import math

import pytest
import torch
from helpers import assert_one_line
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from utils.attention import (
    MultiHeadAttention,
    causal_mask,
    join_heads,
    padding_mask,
    scaled_dot_product,
    split_heads,
)

sizes = st.integers(1, 6)


@st.composite
def inputs(draw):
    batch, heads, queries, keys, width = (draw(sizes) for _ in range(5))
    torch.manual_seed(draw(st.integers(0, 10**6)))
    scale = draw(st.sampled_from([0.1, 1.0, 30.0]))
    query = torch.randn(batch, heads, queries, width) * scale
    key, value = torch.randn(batch, heads, keys, width) * scale, torch.randn(batch, heads, keys, width)
    mask = torch.rand(batch, 1, queries, keys) < draw(st.floats(0, 1))
    return query, key, value, mask


@settings(deadline=None)
@given(inputs())
def test_rows_sum_to_one_masked_keys_get_exactly_zero_and_nothing_is_nan(drawn):
    query, key, value, mask = drawn
    output, weights = scaled_dot_product(query, key, value, mask)
    assert not output.isnan().any() and not weights.isnan().any()
    mask = mask.expand_as(weights)
    assert (weights[~mask] == 0).all()
    seen = mask.any(-1)
    assert torch.allclose(weights.sum(-1)[seen], torch.ones(int(seen.sum())), atol=1e-5)
    assert (output[~seen] == 0).all()  # a query without any key gets zeros


@settings(deadline=None)
@given(inputs())
def test_the_fused_form_agrees(drawn):
    query, key, value, mask = drawn
    # in float64, where the two orders of summing agree even for scores in the thousands: at scale 30 the
    # scores' own rounding in float32, about 1e-4, is larger than the tolerance
    query, key, value = query.double(), key.double(), value.double()
    for given_mask in (None, mask):
        expected = F.scaled_dot_product_attention(query, key, value, attn_mask=given_mask)
        assert torch.allclose(scaled_dot_product(query, key, value, given_mask)[0], expected, atol=1e-9)


@settings(deadline=None)
@given(inputs())
def test_the_fused_form_agrees_in_float32(drawn):
    query, key, value, mask = drawn
    query, key = (tensor / tensor.std(correction=0).clamp(min=1.0) for tensor in (query, key))
    for given_mask in (None, mask):
        expected = F.scaled_dot_product_attention(query, key, value, attn_mask=given_mask)
        assert torch.allclose(scaled_dot_product(query, key, value, given_mask)[0], expected, atol=1e-5)


def test_gradients_stay_finite_where_a_query_sees_no_key():
    query, key, value = (torch.randn(1, 1, 3, 4, requires_grad=True) for _ in range(3))
    mask = torch.tensor([[True, False, True], [False, False, False], [True, True, True]])[None, None]
    scaled_dot_product(query, key, value, mask)[0].sum().backward()
    assert all(tensor.grad.isfinite().all() for tensor in (query, key, value))


def test_scores_are_divided_by_the_root_of_the_width():
    query = key = torch.tensor([[2.0, 0, 0, 0], [0, 2.0, 0, 0]])
    weights = scaled_dot_product(query, key, torch.eye(2))[1]
    assert weights[0, 0].item() == pytest.approx(math.exp(2) / (math.exp(2) + 1))


@settings(deadline=None)
@given(st.integers(1, 8), st.integers(0, 10**6))
def test_another_order_of_the_input_gives_the_same_rows_in_that_order(length, seed):
    torch.manual_seed(seed)
    attention, states = MultiHeadAttention(8, 2), torch.randn(2, length, 8)
    order = torch.randperm(length)
    assert torch.allclose(attention(states)[:, order], attention(states[:, order]), atol=1e-6)


@settings(deadline=None)
@given(st.integers(1, 7))
def test_a_causal_mask_hides_what_comes_later(length):
    torch.manual_seed(0)
    attention, states = MultiHeadAttention(8, 4).eval(), torch.randn(1, length, 8)
    mask = causal_mask(length)
    assert attention.weights(states, mask)[0, :, 0, 0].tolist() == [1.0] * 4
    changed = states.clone()
    changed[:, -1] += 1
    assert torch.equal(attention(states, mask)[:, :-1], attention(changed, mask)[:, :-1])
    assert attention(states, mask).shape == states.shape


def test_padding_changes_nothing_for_the_tokens_before_it():
    torch.manual_seed(0)
    attention, states = MultiHeadAttention(8, 2), torch.randn(1, 5, 8)
    mask = padding_mask(torch.tensor([[1, 1, 1, 0, 0]]))
    assert mask.shape == (1, 1, 1, 5)
    assert torch.allclose(attention(states, mask)[:, :3], attention(states[:, :3]), atol=1e-6)


def test_heads_are_slices_and_splitting_is_undone_by_joining():
    states = torch.arange(24.0).view(1, 3, 8)
    heads = split_heads(states, 4)
    assert heads.shape == (1, 4, 3, 2)
    assert torch.equal(heads[0, 1], states[0, :, 2:4])
    assert torch.equal(join_heads(heads), states)


def test_multi_head_attention_equals_pytorchs_own():
    torch.manual_seed(0)
    ours = MultiHeadAttention(12, 3)
    theirs = torch.nn.MultiheadAttention(12, 3, batch_first=True)
    with torch.no_grad():
        for name in ("weight", "bias"):
            parts = [getattr(layer, name) for layer in (ours.query, ours.key, ours.value)]
            getattr(theirs, f"in_proj_{name}").copy_(torch.cat(parts))
            getattr(theirs.out_proj, name).copy_(getattr(ours.output, name))
    states, context = torch.randn(2, 4, 12), torch.randn(2, 6, 12)
    for source in (states, context):
        expected, weights = theirs(states, source, source, average_attn_weights=False)
        assert torch.allclose(ours(states, context=source), expected, atol=1e-6)
        assert torch.allclose(ours.weights(states, context=source), weights, atol=1e-6)


def test_dropout_is_on_only_while_training():
    torch.manual_seed(0)
    attention, states = MultiHeadAttention(8, 2, dropout=0.5), torch.randn(1, 6, 8)
    assert not torch.equal(attention(states), attention(states))
    attention.eval()
    assert torch.equal(attention(states), attention(states))


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda x: scaled_dot_product(x, torch.randn(1, 2, 3, 5), x), ["width 4", "got 5"]),
        (lambda x: scaled_dot_product(x, x, torch.randn(1, 2, 7, 4)), ["3 keys", "got 7"]),
        (lambda x: scaled_dot_product(x, x, x, torch.ones(3, 3)), ["bool", "torch.float32"]),
        (lambda x: scaled_dot_product(x, x, x, torch.ones(3, 3).long()), ["bool", "torch.int64"]),
        (lambda x: scaled_dot_product(x, x, x, torch.ones(5, 3).bool()), ["(1, 2, 3, 3)", "(5, 3)"]),
        (lambda x: scaled_dot_product(x, x, x, torch.ones(9, 1, 2, 3, 3).bool()), ["(9, 1, 2, 3, 3)"]),
        (lambda x: padding_mask(torch.ones(3)), ["(batch, keys)", "(3,)"]),
        (lambda x: padding_mask(torch.tensor([[0.0, -1e9]])), ["0 and 1", "torch.float32"]),
        (lambda x: MultiHeadAttention(10, 4), ["4 heads", "got 10"]),
        (lambda x: MultiHeadAttention(10, 0), ["0 heads"]),
        (lambda x: MultiHeadAttention(8, 2)(torch.randn(1, 3, 6)), ["(batch, length, 8)", "(1, 3, 6)"]),
        (lambda x: MultiHeadAttention(8, 2)(torch.randn(3, 8)), ["(batch, length, 8)", "(3, 8)"]),
        (
            lambda x: MultiHeadAttention(8, 2)(torch.randn(1, 3, 8), context=torch.randn(1, 2, 4)),
            ["(1, 2, 4)"],
        ),
    ],
)
def test_bad_input_is_one_line_with_what_was_expected_and_got(call, words):
    with pytest.raises(ValueError) as error:
        call(torch.randn(1, 2, 3, 4))
    assert_one_line(error, "expected", *words)
