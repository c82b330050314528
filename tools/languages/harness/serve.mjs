// Answers 200 with what the example of docs/receiving.md read, and 401 when it refused.
import { createServer } from 'node:http';
import { WebhookVerificationError } from 'standardwebhooks';

let count = 0;

createServer(async (request, response) => {
  const chunks = await request.toArray();
  globalThis.notification = {
    secret: process.env.WEBHOOK_SECRET,
    headers: request.headers,
    body: Buffer.concat(chunks),
  };
  try {
    const { event } = await import(`./example.mjs?${++count}`); // a module runs once for each name
    response.end(JSON.stringify(event));
  } catch (error) {
    response.statusCode = error instanceof WebhookVerificationError ? 401 : 500;
    response.end(String(error));
  }
}).listen(process.env.PORT, '127.0.0.1');
