import type { Texts } from '../index.ts';

export const hood: Texts['hood'] = {
  title: '内部の動き',
  close: '閉じる',
  clear: '消去',
  filter: '絞り込み',
  empty: 'まだ何もありません。メッセージを送ると、通信の内容が表示されます。',
  variables: '変数',
  answer: '応答',
  copyCurl: 'curl としてコピー',
  copied: 'コピーしました',
  copyFailed: 'コピーできませんでした',
  openGraphiql: 'GraphiQL を開く',
  more: (n) => `あと ${n} 件`,
};
