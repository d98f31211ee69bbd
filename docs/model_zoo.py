"""The page of the model zoo, from the metafiles of the configs."""

from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parent.parent


def page():
    """Markdown: for each collection its configs, with what was trained on and the measured result."""
    index = yaml.safe_load((ROOT / 'model-index.yml').read_text(encoding='utf-8'))
    lines = [
        '# Model zoo',
        '',
        'Results are means over seeds by the [protocol](../research/protocol.md); the others have none yet.',
        '',
    ]
    for name in index['Import']:
        meta = yaml.safe_load((ROOT / name).read_text(encoding='utf-8'))
        for collection in meta['Collections']:
            models = [model for model in meta['Models'] if model['In Collection'] == collection['Name']]
            readme = f'../../{collection["README"]}'
            lines += [
                f'## [{collection["Name"]}]({readme})',
                '',
                '| config | data | epochs | result |',
                '|---|---|---:|---|',
            ]
            lines += [row(model) for model in models]
            lines.append('')
    return '\n'.join(lines)


def row(model):
    """The line of a config."""
    metadata = model.get('Metadata', {})
    data = metadata.get('Training Data', '')
    data = ', '.join(data) if isinstance(data, list) else data
    results = '; '.join(
        f'{metric} {value:g} ({result["Dataset"]})'
        for result in model.get('Results', [])
        for metric, value in result['Metrics'].items()
    )
    return f'| [{model["Name"]}](../../{model["Config"]}) | {data} | {metadata.get("Epochs", "")} | {results} |'
