"""Answers of ONNX Runtime GenAI, which has no server; run by an environment that has it."""

import json
import sys

import onnxruntime_genai as og

folder, longest = sys.argv[1], int(sys.argv[2])
model = og.Model(folder)
tokenizer = og.Tokenizer(model)
answers = []
for question in json.loads(sys.stdin.read()):
    text = tokenizer.apply_chat_template(
        json.dumps([{"role": "user", "content": question}]), add_generation_prompt=True
    )
    prompt = tokenizer.encode(text)
    settings = og.GeneratorParams(model)
    settings.set_search_options(do_sample=False, max_length=len(prompt) + longest)
    generator = og.Generator(model, settings)
    generator.append_tokens(prompt)
    while not generator.is_done():
        generator.generate_next_token()
    answers.append(tokenizer.decode(generator.get_sequence(0)[len(prompt) :]))
print(json.dumps(answers))
