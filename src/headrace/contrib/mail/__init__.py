"""Mail, sent by SMTP.

send = mail.register(app, {"default": mail.Server("smtp.example.com", user="shop", ...)})
await send.enqueue(mail.Message(to=["a@example.com"], subject="Thanks", text="..."))
"""

from headrace.contrib.mail.message import Message
from headrace.contrib.mail.server import Server
from headrace.contrib.mail.task import Sent, register

__all__ = ["Message", "Sent", "Server", "register"]
