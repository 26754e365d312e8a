// Says the running reply to who listens, and its end.
import { useEffect } from 'react';
import { announce } from '../app/announce.ts';
import { live } from '../live/index.ts';
import { useTexts } from '../texts/index.ts';
import type { OpenTalk } from './open.ts';
import { apartMs, Speaker, wordsOf } from './speech.ts';

export function useSpeech(talk: OpenTalk, runningId: string | null) {
  const texts = useTexts().talk;
  useEffect(() => {
    if (runningId === null) return;
    const language = document.documentElement.lang || 'en';
    const text = live.of(runningId);
    const speaker = new Speaker(language, text.newest?.content.length ?? 0);
    const say = () => {
      const said = speaker.next(text.newest?.content ?? '', performance.now());
      if (said) announce(said, 'progress');
    };
    const timer = setInterval(say, apartMs / 4);
    return () => {
      clearInterval(timer);
      const message = talk.get().line?.messages.find(({ id }) => id === runningId);
      if (!message || message.status === 'STREAMING') return;
      const rest = speaker.end(message.content);
      if (rest) announce(rest, 'progress');
      const words = wordsOf(message.content, language);
      announce(message.status === 'COMPLETED' ? texts.complete(words) : texts.ended(words), 'end');
    };
  }, [talk, runningId, texts]);
}
