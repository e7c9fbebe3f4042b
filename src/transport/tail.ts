/** Keeps the last `limit` bytes of a stream, in memory of at most about twice that. */
export class TailBuffer {
  /** bytes seen, kept or not */
  total = 0;
  private readonly limit: number;
  private chunks: Buffer[] = [];
  private held = 0;

  constructor(limit: number) {
    this.limit = limit;
  }

  push(chunk: Buffer): void {
    this.total += chunk.length;
    this.chunks.push(chunk);
    this.held += chunk.length;
    if (this.held > this.limit * 2 || this.chunks.length > 256) {
      const kept = this.bytes();
      this.chunks = [kept];
      this.held = kept.length;
    }
  }

  /** A copy of what is kept. */
  bytes(): Buffer {
    const all = Buffer.concat(this.chunks);
    return all.length > this.limit ? Buffer.from(all.subarray(all.length - this.limit)) : all;
  }
}
