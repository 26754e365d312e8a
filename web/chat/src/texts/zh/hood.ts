import type { Texts } from '../index.ts';

export const hood: Texts['hood'] = {
  title: '幕后',
  close: '关闭',
  clear: '清空',
  filter: '筛选',
  empty: '暂无内容。发送一条消息，看看传输了什么。',
  variables: '变量',
  answer: '响应',
  copyCurl: '复制为 curl',
  copied: '已复制',
  copyFailed: '无法复制',
  openGraphiql: '打开 GraphiQL',
  more: (n) => `还有 ${n} 项`,
};
