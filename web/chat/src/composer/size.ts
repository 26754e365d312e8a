// How long a message may be, as far as this page knows. The server says it when it refuses one.
export const limit = {
  known: Infinity,
  /** From how many bytes on the length is shown. */
  get quiet(): number {
    return Math.min(16_384, this.known * 0.8);
  },
};

/** learn keeps the limit that the server has named. */
export function learn(bytes: number) {
  limit.known = bytes;
}

export function sizeOf(bytes: number): string {
  return new Intl.NumberFormat(document.documentElement.lang || undefined, {
    style: 'unit',
    unit: 'kilobyte',
    unitDisplay: 'short',
    maximumFractionDigits: bytes < 102_400 ? 1 : 0,
  }).format(bytes / 1024);
}
