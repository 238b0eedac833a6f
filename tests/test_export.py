"""Export: ONNX gives the classifier's logits, int8 nearly; both are smaller or as large as they must be."""

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from helpers import assert_one_line

from utils import export, finetuning

WORDS = ["good", "bad", "lamp", "chair", "not", "very", "the", "."]


@pytest.fixture
def classifier(tiny_bert):
    """(tokenizer, model): random weights, large enough that texts differ."""
    tokenizer, model = finetuning.new_classifier(
        ("negative", "positive"), finetuning.Recipe(), str(tiny_bert)
    )
    torch.nn.init.normal_(model.classifier.weight, std=3)
    return tokenizer, model.to("cpu").eval()


@pytest.fixture
def rows(classifier):
    """60 texts of 1 to 40 words."""
    random = np.random.default_rng(0)
    texts = [" ".join(random.choice(WORDS, random.integers(1, 41))) for _ in range(60)]
    return [{"input_ids": classifier[0](text)["input_ids"]} for text in texts]


@pytest.fixture
def exported(classifier, tmp_path):
    return export.to_onnx(classifier[1], tmp_path / "made" / "model.onnx")


# ------------------------------------------------------------------------------------------ ONNX


def test_onnx_runtime_gives_the_logits_of_torch_for_every_length_and_batch(classifier, rows, exported):
    session = export.load(exported)
    wanted = finetuning.predict(classifier[1], rows)
    for batch_size in (1, 7, 64):
        assert np.allclose(export.predict(session, rows, batch_size), wanted, atol=1e-4)
    longest = [{"input_ids": [2] + [5] * 62 + [3]}]  # all 64 positions
    assert np.allclose(
        export.predict(session, longest), finetuning.predict(classifier[1], longest), atol=1e-4
    )


def test_padding_changes_nothing(exported, rows):
    session = export.load(exported)
    together = export.predict(session, rows, 64)
    assert np.allclose(together[:3], export.predict(session, rows[:3], 1), atol=1e-4)


def test_a_model_that_was_trained_in_mixed_precision_is_exported_in_full(classifier, rows, tmp_path):
    wanted = finetuning.predict(classifier[1], rows)
    AcceleratorState._reset_state(reset_partial_state=True)  # another test may have chosen a precision
    trained = Accelerator(cpu=True, mixed_precision="bf16").prepare_model(classifier[1])
    assert not np.allclose(finetuning.predict(trained, rows), wanted, atol=1e-5)
    session = export.load(export.to_onnx(trained, tmp_path / "m.onnx"))
    assert np.allclose(export.predict(session, rows), wanted, atol=1e-4)
    assert np.allclose(finetuning.predict(export.in_full(trained), rows), wanted, atol=1e-6)
    AcceleratorState._reset_state(reset_partial_state=True)


def test_batch_and_sequence_are_free_in_the_file(exported):
    session = export.load(exported)
    assert [(tensor.name, tensor.shape) for tensor in session.get_inputs()] == [
        ("input_ids", ["batch", "sequence"]),
        ("attention_mask", ["batch", "sequence"]),
    ]
    assert [tensor.name for tensor in session.get_outputs()] == ["logits"]


def test_a_session_takes_the_threads_of_torch(exported):
    torch.set_num_threads(2)
    assert export.load(exported).get_session_options().intra_op_num_threads == 2
    assert export.load(exported, threads=1).get_session_options().intra_op_num_threads == 1


def test_nothing_is_printed_and_nothing_is_left_over(classifier, tmp_path, capfd):
    export.to_int8(export.to_onnx(classifier[1], tmp_path / "m.onnx"), tmp_path / "m8.onnx")
    assert capfd.readouterr() == ("", "")
    assert {path.name for path in tmp_path.glob("m*")} == {"m.onnx", "m8.onnx"}
    assert not list(tmp_path.glob("*.new"))


# ------------------------------------------------------------------------------------------ int8


def test_int8_is_smaller_and_mostly_of_the_same_opinion(classifier, rows, exported, tmp_path):
    linear = export.to_int8(exported, tmp_path / "linear.onnx", export.LINEAR)
    both = export.to_int8(exported, tmp_path / "both.onnx")
    assert export.size(both) < export.size(linear) < export.size(exported)
    wanted = finetuning.predict(classifier[1], rows)
    clear = np.abs(wanted[:, 0] - wanted[:, 1]) > 0.5
    assert clear.sum() >= 20
    for path in (linear, both):
        found = export.predict(export.load(path), rows)
        assert not np.allclose(found, wanted, atol=1e-6)  # something was rounded
        assert np.mean((found.argmax(-1) == wanted.argmax(-1))[clear]) >= 0.9


def test_the_linear_layers_of_an_int8_file_multiply_whole_numbers(exported, tmp_path):
    import onnx

    kinds = [node.op_type for node in onnx.load(export.to_int8(exported, tmp_path / "m8.onnx")).graph.node]
    assert kinds.count("MatMulInteger") >= 12  # two layers of six linear layers each
    assert "DynamicQuantizeLinear" in kinds


def test_size_counts_the_files_of_a_folder(tmp_path):
    (tmp_path / "a").write_bytes(b"12345")
    (tmp_path / "deeper").mkdir()
    (tmp_path / "deeper" / "b").write_bytes(b"123")
    assert export.size(tmp_path) == 8 and export.size(tmp_path / "a") == 5


# -------------------------------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    "function", [export.load, lambda path: export.to_int8(path, path.with_name("n.onnx"))]
)
def test_a_missing_file_and_a_damaged_one_are_one_line(function, tmp_path, exported):
    with pytest.raises(export.ExportError) as error:
        function(tmp_path / "none.onnx")
    assert_one_line(error, "none.onnx", "to_onnx")
    damaged = tmp_path / "damaged.onnx"
    damaged.write_bytes(exported.read_bytes()[:2000])
    with pytest.raises(export.ExportError) as error:
        function(damaged)
    assert_one_line(error, "damaged.onnx", "export it again")
    assert not (tmp_path / "n.onnx").exists()


def test_a_text_that_is_too_long_is_one_line(exported):
    with pytest.raises(export.ExportError) as error:
        export.predict(export.load(exported), [{"input_ids": [2] + [5] * 80 + [3]}])
    assert_one_line(error, "(1, 82)", "shorten the texts")


def test_what_is_no_classifier_is_one_line_and_leaves_no_file(tmp_path):
    class Other(torch.nn.Module):
        device = torch.device("cpu")

        def forward(self, input_ids, attention_mask):
            raise RuntimeError("it takes pictures\nand nothing else")

    with pytest.raises(export.ExportError) as error:
        export.to_onnx(Other(), tmp_path / "m.onnx")
    assert_one_line(error, "takes pictures")
    assert not list(tmp_path.glob("m.*"))


def test_a_model_on_a_gpu_is_one_line(tmp_path):
    model = torch.nn.Linear(1, 1)
    model.device = torch.device("cuda")
    with pytest.raises(export.ExportError) as error:
        export.to_onnx(model, tmp_path / "m.onnx")
    assert_one_line(error, "cuda", "model.to('cpu')")
