"""A help desk: find the passages that share words with a question, let a reader read them, mark the answer.

Built by hand in notebook 07, on a page in notebook 11. Not for the page itself (`demo`).
"""

import html
import math
from collections.abc import Callable, Iterable

from sklearn.feature_extraction.text import TfidfVectorizer

from utils import answer_spans, reader


def help_desk(
    tokenizer,
    model,
    passages: Iterable[str],
    max_length: int = 128,
    stride: int = 16,
    threshold: float = math.inf,
) -> Callable[[str], str]:
    """Return a function from a question to HTML: the answer, marked where it stands in its passage.

    At most two passages, those that share the rarest words with the question (TF-IDF), are read by
    `model`; the answer that beats "no answer" most is shown. Above `threshold` it is marked as doubtful.
    """
    library = sorted(set(passages))
    if not library:
        raise ValueError("the help desk has nothing to read: give at least one passage.")
    index = TfidfVectorizer(sublinear_tf=True, stop_words="english").fit(library)
    vectors = index.transform(library)  # (passages, words)

    def ask(question: str) -> str:
        if not question.strip():
            raise ValueError("Type a question first.")
        likeness = (vectors @ index.transform([question]).T).toarray()[:, 0]  # (passages,)
        best_two = [n for n in likeness.argsort(kind="stable")[::-1][:2] if likeness[n] > 0]
        if not best_two:
            return "<p>The handbook shares no word with this question.</p>"
        asked = [{"id": str(n), "question": question, "context": library[n]} for n in best_two]
        answers = reader.answer(tokenizer, model, asked, max_length, stride)
        row = min(asked, key=lambda row: answers[row["id"]].difference)
        return marked(row["context"], answers[row["id"]], threshold)

    return ask


def marked(context: str, answer: answer_spans.Answer, threshold: float = math.inf, around: int = 120) -> str:
    """Return HTML: the answer in `<mark>`, with `around` characters of its context on both sides."""
    span = answer.candidates[0]
    parts = (context[max(0, span.start - around) : span.start], span.text, context[span.end :][:around])
    before, middle, behind = (html.escape(part) for part in parts)
    doubt = "<br><i>A careful reader would keep silent.</i>" if answer.difference > threshold else ""
    return f"<p>…{before}<mark>{middle}</mark>{behind}…{doubt}</p>"
