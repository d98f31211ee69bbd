# 2x super-resolution by an EDSR of 78,000 parameters; colours are RGB from 0 to 1
model = dict(
    type='SuperResolver',
    data_preprocessor=dict(type='DetDataPreprocessor', mean=[0.0] * 3, std=[255.0] * 3, bgr_to_rgb=True),
    network=dict(type='ResidualUpsampler', channels=32, num_blocks=4),
    scale=2,
)
