import type { Texts } from '../index.ts';

export const markdown: Texts['markdown'] = {
  code: 'テキスト',
  codeIn: (language) => `コード、${language}`,
  copy: 'コピー',
  copied: 'コピーしました',
  copyFailed: 'コピーできませんでした',
  wrap: '折り返す',
  table: '表',
  image: '画像',
  imageNotLoaded: (address) => `読み込んでいません: ${address}`,
  done: '完了',
  open: '未完了',
};
