import type { Texts } from '../index.ts';

export const markdown: Texts['markdown'] = {
  code: 'نص',
  codeIn: (language) => `رمز برمجي، ${language}`,
  copy: 'نسخ',
  copied: 'تم النسخ',
  copyFailed: 'تعذر النسخ',
  wrap: 'التفاف الأسطر',
  table: 'جدول',
  image: 'صورة',
  imageNotLoaded: (address) => `لم تُحمَّل: ${address}`,
  done: 'منجز',
  open: 'غير منجز',
};
