module bowline.dev/template-oracle

go 1.26
