// The text of a reply.
import type { TalkMessage } from './list.ts';

export interface ProseProps {
  text: string;
  growing?: boolean;
  citations?: TalkMessage['citations'];
}

export function Prose({ text }: ProseProps) {
  return (
    <div className="talk-prose" dir="auto">
      {text}
    </div>
  );
}
