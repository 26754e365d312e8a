import type { Texts } from '../index.ts';

export const markdown: Texts['markdown'] = {
  code: '文本',
  codeIn: (language) => `代码，${language}`,
  copy: '复制',
  copied: '已复制',
  copyFailed: '无法复制',
  wrap: '自动换行',
  table: '表格',
  image: '图片',
  imageNotLoaded: (address) => `未加载：${address}`,
  done: '已完成',
  open: '未完成',
};
