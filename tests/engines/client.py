"""Asks a server questions by the `openai` package; run by an environment that has it."""

import json
import sys

from openai import OpenAI

given = json.loads(sys.stdin.read())
client = OpenAI(base_url=given["address"], api_key="none", max_retries=0, timeout=120)
answers = []
for question in given["questions"]:
    chat = [{"role": "user", "content": question}]
    reply = client.chat.completions.create(model=given["model"], messages=chat, **given["more"])
    answers.append(reply.choices[0].message.content)
print(json.dumps(answers))
