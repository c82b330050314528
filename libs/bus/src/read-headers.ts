import { MsgHdrsImpl, type Msg, type MsgHdrs } from '@nats-io/nats-core';
import type { MsgImpl } from '@nats-io/nats-core/internal';

const decoder = new TextDecoder();

/**
 * The headers of a message, none when they can not be read. The server takes any bytes for headers; the client throws when a name has
 * a blank in it, and what is thrown in the callback of a subscription ends the reading of the whole connection.
 */
export function readHeaders(message: Msg): MsgHdrs | undefined {
  try {
    return message.headers;
  } catch {
    return undefined;
  }
}

/** Those that can be read: of an answer to a direct get, which has the headers of the message and then the server's. */
export function readHeadersOfAnswer(message: Msg): MsgHdrs | undefined {
  return readHeaders(message) ?? readEach(message as MsgImpl);
}

function readEach({ _rdata, _msg }: MsgImpl): MsgHdrs | undefined {
  if (_msg.hdr <= 0) return undefined;
  const found = new MsgHdrsImpl();
  const [, ...lines] = decoder.decode(_rdata.subarray(0, _msg.hdr)).split('\r\n');
  for (const line of lines) {
    const colon = line.indexOf(':');
    if (colon < 0) continue;
    try {
      found.append(line.slice(0, colon), line.slice(colon + 1));
    } catch {
      continue;
    }
  }
  return found;
}
