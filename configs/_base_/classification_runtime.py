_base_ = './default_runtime.py'
# Data sets, classifier and metric are mmpretrain's; heads and losses are looked up with _scope_='mmdet'
default_scope = 'mmpretrain'
default_hooks = dict(visualization=dict(_delete_=True, type='VisualizationHook', enable=False))
custom_hooks = [dict(type='mmdet.CandidateWeightsHook')]
visualizer = dict(type='UniversalVisualizer')
