"""Our BERT equals transformers' in outputs and in the gradient of every parameter."""

import pytest
import torch
import transformers
from helpers import assert_one_line

from utils import models
from utils.bert import Bert, BertForPreTraining, Classifier, Config, TokenClassifier, their_name

SHAPES = {
    "tiny": {"hidden_size": 128, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 512},
    "mini": {"hidden_size": 256, "num_hidden_layers": 4, "num_attention_heads": 4, "intermediate_size": 1024},
    "base": {},
}
SMALL = Config(
    vocab_size=50,
    hidden_size=16,
    num_hidden_layers=2,
    num_attention_heads=4,
    intermediate_size=32,
    max_position_embeddings=12,
)


def batch(vocab_size, length=24):
    """Two texts with segments, the second one padded."""
    generator = torch.Generator().manual_seed(1)
    input_ids = torch.randint(5, vocab_size, (2, length), generator=generator)
    attention_mask = torch.ones_like(input_ids)
    attention_mask[1, length // 2 :] = 0
    input_ids[1, length // 2 :] = 0
    token_type_ids = (torch.arange(length) >= length // 3).long().expand(2, -1)
    return {"input_ids": input_ids, "attention_mask": attention_mask, "token_type_ids": token_type_ids}


def widened(model):
    """Random weights and biases wider than at the start of training, so that attention is far from uniform."""
    torch.manual_seed(0)
    width = 0.6 / model.config.hidden_size**0.5
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(width * torch.randn_like(parameter))
    return model.eval()


def real_minilm():
    return transformers.BertModel.from_pretrained(models.find_model(), use_safetensors=True).eval()


def assert_equal_gradients(ours, theirs):
    gradients = {name: parameter.grad for name, parameter in theirs.named_parameters()}
    if "cls.predictions.bias" in gradients:  # one bias under two names
        gradients["cls.predictions.decoder.bias"] = gradients.pop("cls.predictions.bias")
    compared = 0
    for name, parameter in ours.named_parameters():
        expected = gradients[their_name(name)]
        scale = expected.norm()
        if name.endswith(
            "key.bias"
        ):  # 0 but for rounding: softmax takes no notice of it; so by the queries' scale
            scale = gradients[their_name(name.replace("key", "query"))].norm()
        assert (parameter.grad - expected).norm() <= 1e-4 * scale, name
        compared += 1
    assert compared == len(gradients)


@pytest.mark.parametrize("shape", [*SHAPES, "MiniLM's real weights"])
@pytest.mark.parametrize("implementation", ["sdpa", "eager"])
def test_outputs_pooled_outputs_and_gradients_of_the_encoder(shape, implementation):
    if shape in SHAPES:
        theirs = widened(transformers.BertModel(transformers.BertConfig(**SHAPES[shape])))
    else:
        theirs = real_minilm()
    theirs.set_attn_implementation(implementation)
    ours, inputs = Bert.from_transformers(theirs), batch(theirs.config.vocab_size)
    assert not ours.training
    states, pooled = ours(**inputs)
    expected = theirs(**inputs)
    real = inputs["attention_mask"].bool()
    assert (states - expected.last_hidden_state)[real].abs().max() < 1e-5
    assert (pooled - expected.pooler_output).abs().max() < 1e-5
    for model_states, model_pooled in (
        (states, pooled),
        (expected.last_hidden_state, expected.pooler_output),
    ):
        torch.manual_seed(2)
        wanted = torch.randn_like(model_states) * real[..., None]
        ((model_states * wanted).sum() + model_pooled.square().sum()).backward()
    assert_equal_gradients(ours, theirs)


@pytest.mark.parametrize("shape", SHAPES)
def test_logits_and_gradients_of_both_pre_training_tasks(shape):
    theirs = widened(transformers.BertForPreTraining(transformers.BertConfig(**SHAPES[shape])))
    ours, inputs = BertForPreTraining.from_transformers(theirs), batch(theirs.config.vocab_size)
    mlm, nsp = ours(**inputs)
    expected = theirs(**inputs)
    real = inputs["attention_mask"].bool()
    assert (mlm - expected.prediction_logits)[
        real
    ].abs().max() < 1e-5 * expected.prediction_logits.abs().max()
    assert (nsp - expected.seq_relationship_logits).abs().max() < 1e-5
    for words, pairs in ((mlm, nsp), (expected.prediction_logits, expected.seq_relationship_logits)):
        loss = torch.nn.functional.cross_entropy(words[real], inputs["input_ids"][real])
        (loss + torch.nn.functional.cross_entropy(pairs, torch.tensor([0, 1]))).backward()
    assert_equal_gradients(ours, theirs)


def test_one_matrix_reads_word_pieces_in_and_out():
    model = BertForPreTraining(SMALL)
    assert model.masked_language_model.decoder.weight is model.bert.embeddings.words.weight
    back = BertForPreTraining.from_transformers(model.to_transformers())
    assert back.masked_language_model.decoder.weight is back.bert.embeddings.words.weight


@pytest.mark.parametrize("kind", [Bert, BertForPreTraining])
def test_there_and_back_gives_the_same_weights_and_outputs(kind, tmp_path):
    torch.manual_seed(0)
    ours, inputs = kind(SMALL).eval(), batch(SMALL.vocab_size, length=9)
    theirs = ours.to_transformers()
    assert not theirs.training
    back = kind.from_transformers(theirs)
    for name, tensor in ours.state_dict().items():
        assert torch.equal(back.state_dict()[name], tensor), name
    theirs.save_pretrained(tmp_path)
    loaded = transformers.AutoModel.from_pretrained(tmp_path).eval()
    states = ours(**inputs)[0] if kind is Bert else ours.bert(**inputs)[0]
    assert (loaded(**inputs).last_hidden_state - states)[inputs["attention_mask"].bool()].abs().max() < 1e-5


def test_dropout_is_on_only_while_training():
    torch.manual_seed(0)
    model, inputs = Bert(SMALL), batch(SMALL.vocab_size, length=9)
    assert not torch.equal(model(**inputs)[0], model(**inputs)[0])
    model.eval()
    assert torch.equal(model(**inputs)[0], model(**inputs)[0])


def test_new_weights_are_drawn_as_bert_draws_them():
    torch.manual_seed(0)
    model = BertForPreTraining(Config(num_hidden_layers=1))
    for name, parameter in model.named_parameters():
        if name.endswith("bias"):
            assert (parameter == 0).all(), name
        elif "norm" in name:
            assert (parameter == 1).all(), name
        else:
            assert abs(parameter.std().item() - 0.02) < 0.002, name


def test_a_text_of_nothing_but_padding_gives_numbers():
    model = Bert(SMALL).eval()
    states, pooled = model(torch.zeros(1, 4, dtype=torch.long), torch.zeros(1, 4, dtype=torch.long))
    assert states.isfinite().all() and pooled.isfinite().all()


def test_heads_give_a_decision_for_a_text_or_for_each_token():
    model, inputs = Bert(SMALL).eval(), batch(SMALL.vocab_size, length=9)
    assert Classifier(model, 3)(inputs["input_ids"], inputs["attention_mask"]).shape == (2, 3)
    assert TokenClassifier(model, 2)(inputs["input_ids"]).shape == (2, 9, 2)


IDS = torch.ones(2, 6, dtype=torch.long)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda m: m(torch.ones(6, dtype=torch.long)), ["(batch, sequence)", "(6,)"]),
        (lambda m: m(torch.ones(2, 6)), ["whole numbers", "torch.float32"]),
        (lambda m: m(torch.ones(1, 13, dtype=torch.long)), ["at most 12", "got 13"]),
        (lambda m: m(IDS * 50), ["0 to 49", "50"]),
        (lambda m: m(-IDS), ["0 to 49", "-1"]),
        (lambda m: m(IDS, IDS[:, :5]), ["attention_mask", "(2, 6)", "(2, 5)"]),
        (lambda m: m(IDS, IDS * -10000.0), ["0 and 1", "torch.float32"]),
        (lambda m: m(IDS, None, IDS * 2), ["token_type_ids", "0 to 1", "2"]),
        (lambda m: m(IDS, None, IDS[:1]), ["token_type_ids", "(1, 6)"]),
        (lambda m: Bert(Config(hidden_size=10, num_attention_heads=4)), ["4 heads", "got 10"]),
        (lambda m: Config.from_transformers(transformers.BertConfig(hidden_act="relu")), ["gelu", "relu"]),
        (lambda m: Config.from_transformers(transformers.BertConfig(is_decoder=True)), ["decoder"]),
    ],
)
def test_bad_input_is_one_line_with_what_was_expected_and_got(call, words):
    with pytest.raises(ValueError) as error:
        call(Bert(SMALL))
    assert_one_line(error, "expected", *words)


def test_a_model_without_pooler_is_refused():
    bare = transformers.BertModel(SMALL.to_transformers(), add_pooling_layer=False)
    with pytest.raises(ValueError, match=r"no weights pooler\.dense"):
        Bert.from_transformers(bare)
