import type { Socket } from 'node:net';

/**
 * So much may come in answer to one request: headers and what is read of a body many times over, however small its chunks are.
 */
const ANSWER_MAX_BYTES = 1024 * 1024;

/**
 * Ends a connection of HTTP/1.1 on which an answer has no end. The bounds of headers and body count what the parser hands
 * out, and it hands out nothing of interim answers, of blanks before a value, of what follows the size of a chunk: a sink could
 * send that for as long as an exchange may take, at a gigabyte per second (measured), and nobody else's would go on.
 *
 * To be called before anybody reads.
 */
export function boundAnswers(socket: Socket): void {
  let [writtenBytes, seenBytes, askedAtBytes] = [socket.bytesWritten, socket.bytesRead, socket.bytesRead];
  socket.prependListener('readable', () => {
    // Something was written: another request. What has come before belongs to the one before it.
    if (socket.bytesWritten !== writtenBytes) [writtenBytes, askedAtBytes] = [socket.bytesWritten, seenBytes];
    seenBytes = socket.bytesRead;
    if (seenBytes - askedAtBytes > ANSWER_MAX_BYTES) socket.destroy(new EndlessAnswer());
  });
}

/** The sink sends more than any answer that is read. */
class EndlessAnswer extends Error {
  readonly code = 'outbound.endless_answer';

  constructor() {
    super(`The answer of the sink has no end: more than ${ANSWER_MAX_BYTES} bytes came.`);
  }
}
