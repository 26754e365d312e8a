import type { Texts } from '../index.ts';

export const hood: Texts['hood'] = {
  title: 'خلف الكواليس',
  close: 'إغلاق',
  clear: 'مسح',
  filter: 'تصفية',
  empty: 'لا شيء بعد. أرسل رسالة لترى ما ينتقل عبر الاتصال.',
  variables: 'المتغيرات',
  answer: 'الاستجابة',
  copyCurl: 'نسخ بصيغة curl',
  copied: 'تم النسخ',
  copyFailed: 'تعذر النسخ',
  openGraphiql: 'فتح GraphiQL',
  more: (n) => `${n} أخرى`,
};
