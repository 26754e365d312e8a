// Says that a question is asked again, and offers to correct it without an answer.
import { useTexts } from '../texts/index.ts';
import { Icon } from '../ui/Icon.tsx';

interface BannerProps {
  isCorrection: boolean;
  onChange: (isCorrection: boolean) => void;
  onCancel: () => void;
}

export function Banner({ isCorrection, onChange, onCancel }: BannerProps) {
  const texts = useTexts().composer;
  return (
    <div className="comp-banner">
      <Icon name="pencil" />
      <span className="comp-banner-text" role="status">
        {isCorrection ? texts.correcting : texts.editing}
      </span>
      <button type="button" className="comp-link" onClick={() => onChange(!isCorrection)}>
        {isCorrection ? texts.askInstead : texts.correctInstead}
      </button>
      <button
        type="button"
        className="comp-quiet"
        aria-label={texts.cancelEdit}
        title={texts.cancelEdit}
        onClick={onCancel}
      >
        <Icon name="close" />
      </button>
    </div>
  );
}
