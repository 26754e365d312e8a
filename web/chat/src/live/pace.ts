// When growing texts are painted: in the next frame, unless the page has something better to do. A slow device that
// paints in each frame has no time left for keys; text that comes a frame later is not missed by anybody.
import type { NextFrame } from './store.ts';

/** What a page has of time. */
export interface Clock {
  now(): number;
  frame(run: () => void): void;
  /** Runs behind the next paint. */
  behind(run: () => void): void;
}

/** No frame, however long, puts the text off for more than this. */
const longestRestMs = 24;

export interface Pace {
  nextFrame: NextFrame;
  /** A key was pressed: what it does is painted first. */
  keyed(): void;
}

/** newPace leaves as much time behind a paint as the paint took, and one frame to each key. */
export function newPace(clock: Clock): Pace {
  let freeAt = 0;
  let hasKey = false;
  let isMeasuring = false;
  const measure = (began: number) => {
    if (isMeasuring) return;
    isMeasuring = true;
    clock.behind(() => {
      isMeasuring = false;
      const end = clock.now();
      freeAt = end + Math.min(longestRestMs, end - began);
    });
  };
  const nextFrame: NextFrame = (paint) =>
    clock.frame(() => {
      const now = clock.now();
      const isKeyFirst = hasKey;
      hasKey = false;
      if (isKeyFirst || now < freeAt) return nextFrame(paint);
      measure(now);
      paint();
    });
  return { nextFrame, keyed: () => void (hasKey = true) };
}

/** pageClock is that of a browser. */
export function pageClock(): Clock {
  const { port1, port2 } = new MessageChannel();
  const waiting: (() => void)[] = [];
  port1.onmessage = () => waiting.splice(0).forEach((run) => run());
  return {
    now: () => performance.now(),
    frame: (run) => void requestAnimationFrame(run),
    behind(run) {
      waiting.push(run);
      port2.postMessage(null);
    },
  };
}
