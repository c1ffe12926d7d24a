"""The command line: ``python -m attnlib.knowledge COMMAND --help``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from attnlib import _commands
from attnlib._commands import PATH, Commands
from attnlib._files import require_writable, write_atomically, write_folder
from attnlib.knowledge.answer import accuracy, greedy_answers
from attnlib.knowledge.corpus import Alphabet, alternate, answer_batches, span_batches
from attnlib.knowledge.files import naming, read_pairs, read_texts
from attnlib.knowledge.generate import generate_corpus
from attnlib.knowledge.gpt import VARIANTS
from attnlib.knowledge.hints import asked_name, hints, names_seen
from attnlib.knowledge.options import (
    FINETUNE,
    Curve,
    GivenSizes,
    Run,
    Task,
    check_alphabet,
    curve_options,
    load_model,
    mixture,
    reading_options,
    run_options,
    run_training,
    size_options,
    start_model,
)
from attnlib.knowledge.recall import recalled
from attnlib.knowledge.settings import Reading

variant = click.argument("attention", metavar="VARIANT", type=click.Choice(VARIANTS))
wiki = click.argument("wiki", metavar="WIKI", type=PATH)


@click.group(cls=Commands, context_settings={"show_default": True})
def cli() -> None:
    """Pretrain a small GPT on text about people, then ask it where they were born.

    VARIANT is vanilla, synthesizer or rotary. WIKI is a text file in UTF-8, a text on each line.
    """


@cli.command()
@click.argument("folder", metavar="DIR", type=PATH)
@click.option("--people", type=int, default=400, help="People in the text.")
@click.option("--places", type=int, default=40, help="Places where they can be born.")
@click.option("--seed", type=int, default=0)
def generate(folder: Path, people: int, places: int, seed: int) -> None:
    """Make DIR with made-up people: wiki.txt, train.tsv and dev.tsv."""
    sentences, train, dev = generate_corpus(people, places, seed)
    tables = {
        f"{name}.tsv": "".join(f"{question}\t{answer}\n" for question, answer in pairs)
        for name, pairs in (("train", train), ("dev", dev))
    }
    write_folder(folder, {"wiki.txt": "".join(f"{line}\n" for line in sentences), **tables})
    click.echo(f"{folder}: {people} people in {len(sentences)} sentences, "
               f"{len(train)} questions to train on, {len(dev)} to be examined on")  # fmt: skip


@cli.command()
@wiki
@click.option("--finetune_corpus_path", type=PATH, help="By default train.tsv beside WIKI.")
def namedata(wiki: Path, finetune_corpus_path: Path | None) -> None:
    """Print three training pairs as the model sees them: inputs x and targets y."""
    alphabet = Alphabet("".join(read_texts(wiki)))
    path = finetune_corpus_path or wiki.with_name("train.tsv")
    pairs = read_pairs(path)
    check_alphabet(path, pairs, alphabet)
    longest = max(len(question) + len(answer) + 2 for question, answer in pairs)
    idx, target = answer_batches(pairs, alphabet, longest, min(3, len(pairs)), seed=0)(0)
    for x, y in zip(idx.tolist(), target.tolist(), strict=True):
        click.echo(f"x: {alphabet.decode(x)}\ny: {alphabet.decode(y)}")


@cli.command("hints")
@wiki
@click.option("--finetune_corpus_path", type=PATH, required=True)
@click.option("--eval_corpus_path", type=PATH, required=True)
def hints_(wiki: Path, finetune_corpus_path: Path, eval_corpus_path: Path) -> None:
    """Print how many of the names asked were seen before, and how far guessing gets."""
    texts, found = read_texts(wiki), []
    for path in (finetune_corpus_path, eval_corpus_path):
        found.append(read_pairs(path))
        for number, (question, _) in enumerate(found[-1], 1):
            try:
                asked_name(question)
            except ValueError as error:
                raise ValueError(f"{path}, line {number}: {error}") from None
    train, examined = found
    for where, count in names_seen(texts, train, examined).items():
        click.echo(f"names {where}: {count} of {len(examined)}")
    for kind, share in hints(train, examined).items():
        click.echo(f"guessed by {kind}: {share:.1%}")


@cli.command()
@variant
@wiki
@click.option("--writing_params_path", type=PATH, required=True)
@reading_options()
@click.option(
    "--places_path", type=PATH, help="Pairs whose answers are those places.  [default: none]"
)
@click.option(
    "--questions_path", type=PATH,
    help="Pairs to read among the texts, those of fine-tuning.  [default: none]",
)  # fmt: skip
@click.option("--every", type=int, default=4, help="With them: one step in so many.")
@curve_options()
@size_options()
@run_options(epochs=60, learning_rate=5e-3, batch_size=32, warmup=100)
def pretrain(
    attention: str, wiki: Path, writing_params_path: Path, reading: Reading,
    places_path: Path | None, questions_path: Path | None, every: int, curve: Curve,
    sizes: GivenSizes, run: Run,
) -> None:  # fmt: skip
    """Train on WIKI by span corruption, from scratch, and write a parameters file.

    What it will take is told first. Stopped, at any moment, it ends with --resume in the
    parameters that it would have had.
    """
    inputs = (wiki, places_path, questions_path, *curve.inputs())
    require_writable(writing_params_path, *inputs)
    texts = read_texts(wiki)
    alphabet = Alphabet("".join(texts))
    model = start_model(attention, alphabet, sizes, run)
    room = reading.room(model.block_size)
    cut = sum(len(text) > room for text in texts)
    if cut and reading.cut is None:
        limit = "block_size - 1" + " - offset" * bool(reading.offset)
        click.echo(f"{cut} of {len(texts)} texts have more than {limit} = "
                   f"{room} characters and are cut there", err=True)  # fmt: skip
    places = [] if places_path is None else [place for _, place in read_pairs(places_path)]
    batches = span_batches(texts, alphabet, model.block_size, run.batch_size, run.seed, reading,
                           places)  # fmt: skip
    corpus: Sequence[object] = texts if not places else [texts, places]
    steps = -(-len(texts) // run.batch_size)
    if questions_path is not None:
        pairs = read_pairs(questions_path)
        check_alphabet(questions_path, pairs, alphabet)
        with naming(questions_path):
            asked = answer_batches(pairs, alphabet, model.block_size, run.batch_size, run.seed)
        batches, corpus = alternate(batches, asked, every), [corpus, pairs]
        steps += steps // (every - 1)
    following = curve.following(model, alphabet, texts, room, writing_params_path, inputs)
    task = Task("pretrain", corpus, batches, steps, mixture(reading, every))
    run_training(task, model, alphabet, writing_params_path, run, following)


@cli.command()
@variant
@wiki
@click.option("--reading_params_path", type=PATH, help="Without it training is from scratch.")
@click.option("--writing_params_path", type=PATH, required=True)
@click.option("--finetune_corpus_path", type=PATH, required=True)
@size_options()
@run_options(*FINETUNE)
def finetune(
    attention: str, wiki: Path, reading_params_path: Path | None, writing_params_path: Path,
    finetune_corpus_path: Path, sizes: GivenSizes, run: Run,
) -> None:  # fmt: skip
    """Train on questions and answers. Alphabet, variant and sizes are those of the parameters."""
    require_writable(writing_params_path, wiki, finetune_corpus_path, reading_params_path)
    alphabet = Alphabet("".join(read_texts(wiki)))
    pairs = read_pairs(finetune_corpus_path)
    if reading_params_path is None:
        model = start_model(attention, alphabet, sizes, run)
    else:
        model = load_model(reading_params_path, attention, wiki, alphabet, sizes, run.dropout,
                           run.device)  # fmt: skip
    check_alphabet(finetune_corpus_path, pairs, alphabet)
    with naming(finetune_corpus_path):
        batches = answer_batches(pairs, alphabet, model.block_size, run.batch_size, run.seed)
    task = Task("finetune", pairs, batches, -(-len(pairs) // run.batch_size))
    run_training(task, model, alphabet, writing_params_path, run)


@cli.command()
@variant
@wiki
@click.option("--reading_params_path", type=PATH, required=True)
@click.option("--eval_corpus_path", type=PATH, required=True)
@click.option("--outputs_path", type=PATH, required=True)
@click.option(
    "--recall", is_flag=True,
    help="Also hide each place in the person's own text, and count those restored.",
)  # fmt: skip
@click.option(
    "--shown", type=int,
    help="With it: most characters of a text that are shown.  [default: those that fit]",
)  # fmt: skip
@click.option("--device", default="cpu", help="cpu or cuda.")
def evaluate(
    attention: str, wiki: Path, reading_params_path: Path, eval_corpus_path: Path,
    outputs_path: Path, recall: bool, shown: int | None, device: str,
) -> None:  # fmt: skip
    """Answer every question, write an answer on each line, and count those that are right.

    A corpus of questions alone is answered too; then answers are counted, and not those right.
    With --recall two numbers stand beside each other: what is found when it is asked for, and
    what is stored, which parameters that are not fine-tuned tell best.
    """
    require_writable(outputs_path, wiki, eval_corpus_path, reading_params_path)
    texts = read_texts(wiki)
    alphabet = Alphabet("".join(texts))
    pairs = read_pairs(eval_corpus_path, answers=recall)
    model = load_model(reading_params_path, attention, wiki, alphabet, device=device)
    check_alphabet(eval_corpus_path, [(question,) for question, _ in pairs], alphabet)
    with naming(eval_corpus_path):
        found = [a for a, _ in greedy_answers(model, alphabet, [q for q, _ in pairs])]
    write_atomically(outputs_path, "".join(f"{answer}\n" for answer in found))
    right = [answer for _, answer in pairs]
    if not any(right):
        click.echo(f"{outputs_path}: {len(found)} answers, to be compared with nothing")
    else:
        most = max(right, key=right.count)
        share, frequent = accuracy(found, right), right.count(most) / len(right)
        click.echo(f"right: {round(share * len(right))} of {len(right)} ({share:.1%}); "
                   f"always {most}, the most frequent here: {frequent:.1%}")  # fmt: skip
    if recall:
        kept = [k for k in recalled(model, alphabet, texts, pairs, shown) if k is not None]
        click.echo(f"restored where hidden in their own texts: {sum(kept)} of {len(kept)} places; "
                   f"{len(pairs) - len(kept)} have no such text")  # fmt: skip


@cli.command(hidden=True, add_help_option=False, context_settings={"ignore_unknown_options": True})
@click.argument("rest", nargs=-1)
def study(rest: tuple[str, ...]) -> None:
    """Where the recorded study went."""
    raise click.ClickException("the study is another command now: "
                               "python -m attnlib.studies knowledge DIR")  # fmt: skip


def main() -> None:
    """Run the command line."""
    _commands.run(cli, "attnlib.knowledge")


if __name__ == "__main__":
    main()
