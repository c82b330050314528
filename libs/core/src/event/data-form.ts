import type { DataForm } from './cloud-event.ts';
import { isJson, isText, isUtf8, parseMediaType, type MediaType } from './media-type.ts';
import { decodeUtf8 } from './utf8.ts';

const APPLICATION_JSON: MediaType = { essence: 'application/json' };

/** What `datacontenttype` declares; undefined when it is absent or no media type. */
export function declaredMediaType(datacontenttype: unknown): MediaType | undefined {
  if (datacontenttype === 'application/json') return APPLICATION_JSON;
  return typeof datacontenttype === 'string' ? parseMediaType(datacontenttype) : undefined;
}

/**
 * The form of data that arrives as plain bytes beside a content type.
 *
 * - JSON content type and the bytes are one JSON value → `json`. The promise is checked, because the bytes go raw into
 *   a structured envelope.
 * - a textual type (`text/…`, XML) in UTF-8 → `text`, so that a structured notification shows a string, not base64
 * - else `bytes`; without a content type nothing may be assumed (JF-4)
 */
export function dataFormOf(mediaType: MediaType | undefined, bytes: Uint8Array): DataForm {
  if (mediaType === undefined) return 'bytes';
  if (isJson(mediaType)) return isJsonValue(bytes) ? 'json' : 'bytes';
  return isText(mediaType) && isUtf8(mediaType) && decodeUtf8(bytes) !== undefined ? 'text' : 'bytes';
}

/**
 * True when {@link dataFormOf} would give `form` again, for data that truly has it. Spares the check of the bytes where the
 * content type alone decides: 0.5 µs instead of 4 µs for 1 KB of JSON.
 */
export function isFormByType(form: DataForm, mediaType: MediaType | undefined, bytes: Uint8Array): boolean {
  if (mediaType === undefined) return form === 'bytes';
  if (form === 'json') return isJson(mediaType);
  if (form === 'text') return isText(mediaType) && isUtf8(mediaType);
  return dataFormOf(mediaType, bytes) === 'bytes';
}

/** True when a structured envelope can carry these bytes in this form. */
export function canHaveForm(form: DataForm, mediaType: MediaType | undefined, bytes: Uint8Array): boolean {
  switch (form) {
    case 'json':
      return (mediaType === undefined || isJson(mediaType)) && isJsonValue(bytes);
    case 'text':
      return mediaType !== undefined && !isJson(mediaType) && decodeUtf8(bytes) !== undefined;
    case 'bytes':
      return true;
  }
}

function isJsonValue(bytes: Uint8Array): boolean {
  const text = decodeUtf8(bytes);
  if (text === undefined) return false;
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}
