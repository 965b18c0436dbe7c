"""Makes tests/fixtures/tokenizer/: a tiny SentencePiece model built like Mistral's (BPE, byte fallback, nothing
normalized, [INST] and [/INST] as control pieces 3 and 4), and what Hugging Face's tokenizer says of awkward texts.

    python tests/oracle/tokenizer.py --template chat_template.jinja               # the tiny model and golden.jsonl
    python tests/oracle/tokenizer.py --template chat_template.jinja --real DIR    # golden_mistral.jsonl, by Mistral's own

A line: {"text", "special": ids of tokenizer(text) without BOS, "plain": the same with
control tokens taken as text, "decoded"}
or {"messages", "chat": apply_chat_template's text, "ids"}. Texts may hold NUL."""
import argparse
import json
import os
import shutil
import tempfile

import sentencepiece
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

HERE = os.path.dirname(os.path.abspath(__file__))
CORPUS = """How many singers do we have? SELECT count(*) FROM singer
What is the name of the oldest farmer in the village? SELECT name FROM farmer ORDER BY age DESC LIMIT 1
Show the titles of all books that were written before the year of the flood.
SELECT T1.title FROM book AS T1 JOIN author AS T2 ON T1.author_id = T2.id WHERE T2.country = 'Peru' GROUP BY T1.title
The wind comes from the south and brings cold, dry air; the people of the plains close their windows.
Which of these is the capital? A. Lima B. Quito C. Bogota D. Santiago Answer: A
A question about the average price of the items that the customers have ordered in the last month.
SELECT avg(price) FROM item WHERE price > 100 AND stock < 20 HAVING sum(price) > 1000
"""
TEXTS = [
    "", " ", "  ", "     ", "\n", "\n\n\t ", "a", " a", "  a  b ", "A.\nB.\nC.\nD.\nAnswer:", "x\0y", "\0",
    "[INST]", "[INST] hello[/INST]", "[INST]hello[/INST] there</s>", " [INST] a", "a[INST]b[/INST]c", "<s>[INST] x",
    "<s>", "</s></s>", "<s> <s>", "[INST", "INST]", "[/INST", "[[INST]]", "[INST][/INST]", "[INST]  two", "<unk>",
    "<0x0A>", "▁", "▁▁x", "▁ x", " ▁x", "a▁b", "é ü ß ñ", "ação não é", "日本語のテキスト", "😀 ok 👩‍👩‍👧", "ﬁ ½ ①", "\u3000wide",
    "a\u00a0b", "e\u0301", "\u200b", "\ufeffbom", "\r\n", "tab\tend\t", "SELECT * FROM t WHERE a = 'x  y';",
    "Ω≈ç√∫", "\U0010ffff", "0123456789 1e-5", "the the the the", "</s", "a </s> b", "  [/INST]  x  ", "[INST]\n[/INST]\n",
    "word " * 300, "é" * 200, "</s>" * 20, "a" * 1000,
]
CHATS = [
    [{"role": "user", "content": "How many singers?"}],
    [{"role": "user", "content": ""}],
    [{"role": "user", "content": "  two spaces "}],
    [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "How many?"}],
    [{"role": "user", "content": "a"}, {"role": "assistant", "content": "\n b\u3000\u00a0"}],
    [{"role": "system", "content": "Lost."}, {"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}],
    [{"role": "system", "content": "Kept."}, {"role": "user", "content": "a"}, {"role": "assistant", "content": " "},
     {"role": "user", "content": "ação\n"}],
]


def train(path):
    before = os.getcwd()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)  # the model records the names it was given
        with open("corpus.txt", "w") as file:
            file.write(CORPUS * 4)
        sentencepiece.SentencePieceTrainer.train(
            input="corpus.txt", model_prefix="tokenizer", vocab_size=448, model_type="bpe",
            byte_fallback=True, normalization_rule_name="identity", remove_extra_whitespaces=False,
            control_symbols=["[INST]", "[/INST]"], split_digits=True, num_threads=1, minloglevel=2)
        shutil.move("tokenizer.model", os.path.join(before, path))
        os.chdir(before)


def hugging_face(model):
    """Mistral's tokenizer.json, with this model's pieces: merges are the pairs whose union is a piece, best first."""
    pieces = [model.id_to_piece(i) for i in range(model.vocab_size())]
    vocab = {piece: i for i, piece in enumerate(pieces)}
    merges = []
    for piece in pieces:
        for cut in range(1, len(piece)):
            left, right = piece[:cut], piece[cut:]
            if left in vocab and right in vocab:
                merges.append((vocab[piece], vocab[left], vocab[right], left, right))
    merges.sort()
    tokenizer = Tokenizer(models.BPE(vocab, [(m[3], m[4]) for m in merges], unk_token="<unk>", fuse_unk=True,
                                     byte_fallback=True))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace("▁", prepend_scheme="first", split=False)
    tokenizer.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(),
                                           decoders.Strip(" ", 1, 0)])
    special = [p for i, p in enumerate(pieces) if model.is_control(i) or model.is_unknown(i)]
    tokenizer.add_special_tokens([AddedToken(p, normalized=False, special=True) for p in special])
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", unk_token="<unk>")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--real", metavar="DIR")
    parser.add_argument("--template", required=True, help="Mistral's chat_template.jinja")
    args = parser.parse_args()
    folder = os.path.join(HERE, "..", "fixtures", "tokenizer")
    os.makedirs(folder, exist_ok=True)
    model_path = os.path.join(args.real or folder, "tokenizer.model")
    if not args.real:
        train(model_path)
    model = sentencepiece.SentencePieceProcessor(model_file=model_path)
    tokenizer = hugging_face(model) if not args.real else PreTrainedTokenizerFast(
        tokenizer_file=os.path.join(args.real, "tokenizer.json"), bos_token="<s>", eos_token="</s>", unk_token="<unk>")
    tokenizer.chat_template = open(args.template).read()
    with open(os.path.join(folder, "golden_mistral.jsonl" if args.real else "golden.jsonl"), "w") as file:
        for text in TEXTS:
            special = tokenizer(text, add_special_tokens=False)["input_ids"]
            decoded = tokenizer.decode(special, skip_special_tokens=True, clean_up_tokenization_spaces=False)
            tokenizer.backend_tokenizer.encode_special_tokens = True
            plain = tokenizer.backend_tokenizer.encode(text, add_special_tokens=False).ids
            tokenizer.backend_tokenizer.encode_special_tokens = False
            assert text[:1] in (" ", "▁") or plain == model.encode(text), text
            file.write(json.dumps({"text": text, "special": special, "plain": plain, "decoded": decoded}) + "\n")
        for messages in CHATS:
            chat = tokenizer.apply_chat_template(messages, tokenize=False)
            ids = tokenizer(chat, add_special_tokens=False)["input_ids"]
            file.write(json.dumps({"messages": messages, "chat": chat, "ids": ids}) + "\n")


if __name__ == "__main__":
    main()
