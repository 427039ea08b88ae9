"""Training and evaluation of STN-iCNN on folders of labelled faces."""
