# Answers 200 with what the example of docs/receiving.md read, and 401 when it refused.
import json
import os
import runpy
from http.server import BaseHTTPRequestHandler, HTTPServer

from standardwebhooks import WebhookVerificationError


class Receiver(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        given = {"secret": os.environ["WEBHOOK_SECRET"], "headers": self.headers, "body": body}
        try:
            self.answer(200, json.dumps(runpy.run_path("example.py", init_globals=given)["event"]))
        except WebhookVerificationError as error:
            self.answer(401, str(error))
        except Exception as error:
            self.answer(500, repr(error))

    def answer(self, status, text):
        self.send_response(status)
        self.end_headers()
        self.wfile.write(text.encode())


HTTPServer(("127.0.0.1", int(os.environ["PORT"])), Receiver).serve_forever()
