// A press that asks the server: a second one while the first is under way does nothing.
import { useState } from 'react';

/** useOnce returns whether run is under way, and what to do at a press. */
export function useOnce(run: () => Promise<boolean>): [isBusy: boolean, press: () => void] {
  const [isBusy, setBusy] = useState(false);
  const press = async () => {
    if (isBusy) return;
    setBusy(true);
    await run();
    setBusy(false);
  };
  return [isBusy, () => void press()];
}
