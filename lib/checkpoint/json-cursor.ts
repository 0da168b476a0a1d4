/** What is wrong with a file, to be shown after its path. */
export class FormatFault extends Error {}

/** Most keys of one object: far more than a model has tensors, far fewer than would fill the memory. */
const MAX_KEYS = 100_000;
/** Most numbers in one list: more than any tensor library takes as dimensions. */
const MAX_SIZES = 64;

/**
 * Reads the little of JSON that a safetensors header is made of: objects, texts and lists of whole numbers. Not
 * JSON.parse, which hides keys that occur twice, and which would first build whatever a hostile 100 MB describes: here
 * the caller refuses a wrong part as soon as it is reached. Every fault is a FormatFault.
 */
export class JsonCursor {
  private at = 0;
  private readonly text: string;

  constructor(text: string) {
    this.text = text;
  }

  /** An object; `read` is called behind each key and must take its value. */
  members(read: (key: string) => void): void {
    const keys = new Set<string>();
    this.expect('{');
    if (this.take('}')) return;
    do {
      const key = this.string();
      if (keys.has(key)) throw new FormatFault(`its header has the key ${quoted(key)} twice`);
      if (keys.size === MAX_KEYS) throw this.fault(`at most ${MAX_KEYS} keys in an object`);
      keys.add(key);
      this.expect(':');
      read(key);
    } while (this.take(','));
    this.expect('}');
  }

  /** A list of numbers as size() takes them. */
  sizes(): number[] {
    const sizes: number[] = [];
    this.expect('[');
    if (this.take(']')) return sizes;
    do {
      if (sizes.length === MAX_SIZES) throw this.fault(`a list of at most ${MAX_SIZES} numbers`);
      sizes.push(this.size());
    } while (this.take(','));
    this.expect(']');
    return sizes;
  }

  /** A whole number from 0 to 2^53 - 1 in plain digits. */
  size(): number {
    this.skipSpace();
    let end = this.at;
    while (isDigit(this.text[end]) && end - this.at <= 16) end++;
    const digits = this.text.slice(this.at, end);
    const size = Number(digits);
    // Of "1.0" and "1e3" the rest is left over and fails as the next token.
    if (!/^(0|[1-9]\d*)$/.test(digits) || !Number.isSafeInteger(size)) {
      throw this.fault('a whole number from 0 to 2^53 - 1');
    }
    this.at = end;
    return size;
  }

  string(): string {
    this.expect('"');
    const start = this.at - 1;
    let end = this.at;
    for (; this.text[end] !== '"'; end++) {
      if (this.text[end] === '\\') end++;
      if (end >= this.text.length) throw this.fault('the end of a text');
    }
    let value: string;
    try {
      value = JSON.parse(this.text.slice(start, end + 1)) as string;
    } catch {
      throw this.fault('a text without control characters or unknown escapes');
    }
    checkText(value);
    this.at = end + 1;
    return value;
  }

  /** Nothing but space may be left. */
  end(): void {
    this.skipSpace();
    if (this.at < this.text.length) throw this.fault('the end');
  }

  private expect(token: string): void {
    if (!this.take(token)) throw this.fault(token);
  }

  private take(token: string): boolean {
    this.skipSpace();
    if (this.text[this.at] !== token) return false;
    this.at++;
    return true;
  }

  private skipSpace(): void {
    while (' \t\r\n'.includes(this.text[this.at] ?? 'x')) this.at++;
  }

  private fault(expected: string): FormatFault {
    return new FormatFault(`its header should have ${expected} at character ${this.at}`);
  }
}

const isDigit = (char: string | undefined): boolean => char !== undefined && char >= '0' && char <= '9';

/** Half a surrogate pair can be written in JSON but is no text, and other readers refuse it. */
export function checkText(text: string): void {
  if (/\p{Surrogate}/u.test(text)) throw new FormatFault(`${quoted(text)} is not well-formed text`);
}

/** As JSON, on one line and not too long, whatever a file says. */
export function quoted(value: string | readonly number[]): string {
  const text = JSON.stringify(value);
  return text.length <= 80 ? text : `${text.slice(0, 76)}…${text.at(-1)}`;
}
